"""Every `holdfast …` that a text names is a command, and each option with it is one of its own."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from services.operator.cli import app

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for pattern in (
        "*.md",
        "docs/*.md",
        "deploy/**/*",
        "services/**/*.py",
        "services/**/*.yaml",
        "shared/**/*.py",
        "Makefile",
    )
    for file in ROOT.glob(pattern)
    if file.is_file() and file.name != "CHANGELOG.md" and file.suffix not in {".png", ".lock"}
)
QUOTED = re.compile(r"`holdfast ([^`\n]+)`")
AT_A_LINES_BEGIN = re.compile(r"^(?:\$ )?holdfast ([a-z].*)$", re.MULTILINE)
WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")
COMMAND = get_command(app)


def named(text, *, lines):
    yield from (found[1] for found in QUOTED.finditer(text))
    if lines:
        yield from (found[1] for found in AT_A_LINES_BEGIN.finditer(text))


def wrong(line):
    """What of *line*, which follows `holdfast`, is no command or no option; empty if all is."""
    command, words = COMMAND, re.split(r"[|;&>#]", line)[0].split()
    while words and isinstance(command, TyperGroup) and WORD.fullmatch(words[0]):
        name = words.pop(0)
        if name not in command.commands:
            return name
        command = command.commands[name]
    if isinstance(command, TyperGroup):
        command = command.commands.get("matching", command)  # what `evaluate` does without a name
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = [option[0] for word in words if (option := OPTION.match(word))]
    return " ".join(option for option in options if option not in {*known, "--help"})


NAMED = sorted(
    {
        (str(file.relative_to(ROOT)), line)
        for file in FILES
        for line in named(file.read_text(encoding="utf-8", errors="replace"), lines=file.suffix == ".md")
    }
)


@pytest.mark.parametrize(("file", "line"), NAMED)
def test_it_exists(file, line):
    assert wrong(line) == "", f"{file} names `holdfast {line}`"


def test_the_check_sees_what_it_looks_for():
    assert len(NAMED) > 100
    assert wrong("topics create") == "create"
    assert wrong("nonsense") == "nonsense"
    assert wrong("say --nonsense hello") == "--nonsense"
    assert wrong("topics apply") == wrong("say --tenant acme hello") == wrong("playbook check FILE") == ""
