"""
The sample playbook and conversations that come with the distribution.
"""

from importlib.resources import files
from pathlib import Path

from services.operator.domain.dialogues import Dialogue, read_dialogues
from shared.playbook.loading import load
from shared.playbook.model import Playbook

FOLDER = Path(str(files("services.operator"))) / "samples"


def bank_playbook() -> Playbook:
    """The playbook of a retail bank's service desk."""
    return load(FOLDER / "bank.yaml").playbook


def sample_dialogues() -> list[Dialogue]:
    """Conversations with that desk."""
    return list(read_dialogues((FOLDER / "conversations.jsonl").read_text(encoding="utf-8").splitlines()))


def sample_texts() -> list[str]:
    """What the customers of the sample conversations say."""
    return [line.text for dialogue in sample_dialogues() for line in dialogue.lines]
