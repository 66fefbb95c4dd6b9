"""
The manifests by the schemas of those who read them: Kubernetes's own, strictly, and Compose's own parser.
"""

import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from tests.contract.manifests import K8S, documents

COMPOSE = Path(__file__).parents[2] / "deploy/compose.yaml"
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest Kubernetes that the manifests are checked for."""
CUSTOM = {"ScaledObject", "TriggerAuthentication", "PodMonitor"}
"""Kinds of KEDA and of the Prometheus operator: their schemas come with them, not with Kubernetes."""


def whole():
    """Every object that the base and the components name; overlays hold parts of objects."""
    for folder in ("base", "components"):
        for file in sorted((K8S / folder).rglob("*.yaml")):
            for document in documents(file):
                if document["kind"] not in {"Kustomization", "Component", *CUSTOM}:
                    name = f"{document['kind']}/{document['metadata']['name']}"
                    yield pytest.param(document, id=f"{folder}-{name}")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", list(whole()))
def test_an_object_is_what_kubernetes_knows(document, version):
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rendered_overlay_is_what_kubernetes_knows(overlay, version):
    checked = [document for document in overlay if document["kind"] not in CUSTOM]

    for document in checked:
        kubernetes_validate.validate(document, version, strict=True)

    assert {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Job"} <= {held["kind"] for held in checked}


def test_an_unknown_field_is_found():
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "holdfast"}, "automount": False}

    with pytest.raises(kubernetes_validate.ValidationError, match="automount"):
        kubernetes_validate.validate(account, VERSIONS[-1], strict=True)


@pytest.fixture
def compose():
    """The command of Compose; skips where there is none."""
    command = ["docker", "compose"]
    if not shutil.which("docker") or subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose, whose parser is asked, is not installed")
    return command


def test_compose_reads_its_file(compose):
    command = [*compose, "--file", str(COMPOSE), "--profile", "*", "config", "--quiet"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (asked.returncode, asked.stderr) == (0, "")
