"""Files that are generated from the code and kept in the repository, so that every change of them is seen in review."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests import rendered

ROOT = Path(__file__).parents[2]
WRITE = "WRITE_GENERATED"


@pytest.fixture(params=["demo", "production"])
def overlay(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The objects of each overlay, as kubectl renders them."""
    return rendered(request.param)


@pytest.fixture
def generated() -> Callable[[str, str], None]:
    """
    Compares a file (path from the root) with the text that it should have.

    With `WRITE_GENERATED=1` in the environment (`make generate`) it writes the file instead.
    """

    def compare(path: str, text: str) -> None:
        file = ROOT / path
        if os.environ.get(WRITE) == "1":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{path} is missing; run `make generate`"
        assert file.read_text(encoding="utf-8") == text, f"{path} is not as the code says; run `make generate`"

    return compare
