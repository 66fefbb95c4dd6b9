"""What every run of the simulation within pytest needs."""

import logging

import pytest
import structlog


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """Rendering the traces of the errors that simulations cause takes most of their time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
