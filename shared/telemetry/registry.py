"""
The metrics registry of a process, with what every process exports whatever it does.
"""

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector

DISTRIBUTION = "holdfast"


def new_registry(service: str) -> CollectorRegistry:
    """
    A registry for the process of *service*: `holdfast_build_info`, and the client library's `process_*` and
    `python_gc_*`.
    """
    registry = CollectorRegistry()
    build_info(registry, service)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def build_info(registry: CollectorRegistry, service: str) -> None:
    """Export what runs, as `holdfast_build_info{service, version, python}`."""
    info = Info("holdfast_build", "What runs here: the service, its version, and Python's.", registry=registry)
    info.info({"service": service, "version": version(DISTRIBUTION), "python": platform.python_version()})
