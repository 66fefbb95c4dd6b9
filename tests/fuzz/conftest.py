import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet():
    """What hostile entries make services log is no news."""
    kept = structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**kept)
    logging.disable(logging.NOTSET)
