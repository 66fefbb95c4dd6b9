"""
The manifests in deploy/k8s, as they are written and as they are rendered.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

K8S = Path(__file__).parents[2] / "deploy/k8s"


def documents(manifests: Path | str) -> list[dict[str, Any]]:
    """The YAML documents of a file, or of a text."""
    return [document for document in YAML(typ="safe", pure=True).load_all(manifests) if document]


def rendered(overlay: str) -> list[dict[str, Any]]:
    """What the overlay of that name comes to; skips where nothing can render it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders the overlays, is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)
