"""Turns of a running Holdfast are recorded and decided anew on a private broker."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BANK = Path(str(files("services.operator"))) / "samples" / "bank.yaml"


async def test_the_same_playbook_changes_nothing_and_another_price_is_found(holdfast_running, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_OPERATOR_FOLDER", str(tmp_path / "folder"))
    file, report = tmp_path / "turns.jsonl", tmp_path / "changes.json"
    await holdfast_running.ask("to-replay-1", "What does the current account cost a month?")
    await holdfast_running.ask("to-replay-2", "I lost my card, what should I do?")

    wrote = await holdfast_running.holdfast("replay", file, "--record", "--tenant", "acme")
    assert wrote.exit_code == 0, wrote.output
    same = await holdfast_running.holdfast("replay", file, "--rehearsal", "--repeats", 2, "--json", report)
    assert same.exit_code == 0, same.output
    assert json.loads(report.read_text())["counts"]["turns"] >= 2

    dearer = tmp_path / "dearer.yaml"
    dearer.write_text(BANK.read_text(encoding="utf-8").replace("4.50", "6.90"), encoding="utf-8")
    changed = await holdfast_running.holdfast("replay", file, "--rehearsal", "--playbook", dearer, "--json", report)

    assert changed.exit_code == 1, changed.output
    assert "6.90" in changed.output
    turns = {turn["question"]: turn for turn in json.loads(report.read_text())["turns"]}
    assert "reply" in turns["What does the current account cost a month?"]["changes"]
    assert not turns["I lost my card, what should I do?"]["changes"]
