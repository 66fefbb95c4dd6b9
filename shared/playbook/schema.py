"""
The JSON Schema of a playbook's file, for editors (`# yaml-language-server: $schema=playbook.schema.json`).
"""

from typing import Any

from shared.playbook.model import Playbook

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema, generated from the model; descriptions come from the model's docstrings and fields."""
    schema = Playbook.model_json_schema()
    return {"$schema": DIALECT, **schema, "title": "Holdfast playbook"}
