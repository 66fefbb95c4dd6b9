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


def toolworld_playbook(url: str = "") -> Playbook:
    """The playbook of a concierge whose tools `holdfast toolworld` serves; at *url*, if not where it says."""
    playbook = load(FOLDER / "toolworld.yaml").playbook
    if not url:
        return playbook
    tools = tuple(
        tool.model_copy(update={"http": tool.http.model_copy(update={"url": f"{url}/tools/{tool.id}"})})
        for tool in playbook.tools
        if tool.http is not None
    )
    return playbook.model_copy(update={"tools": tools})


def toolworld_dialogues() -> list[Dialogue]:
    """Conversations with the concierge."""
    return list(read_dialogues((FOLDER / "toolworld" / "conversations.jsonl").read_text("utf-8").splitlines()))


def sample_texts() -> list[str]:
    """What the customers of the sample conversations say."""
    return [line.text for dialogue in sample_dialogues() for line in dialogue.lines]
