"""However a command ends, it says so in words, with a documented exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from services.operator import ending
from services.operator.cli import app
from shared.errors import Fatal, Invalid, Retryable


def ended(command, *arguments):
    with pytest.raises(SystemExit) as caught:
        ending.run(command, arguments)
    return caught.value.code


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Fatal("no topic x"), "no topic x"),
        (Invalid("bad", "[red]odd[/] \x1b[2J"), "[red]odd[/] ‹U+001B›[2J"),
        (Retryable("later"), "later"),
        (KafkaConnectionError("nobody"), "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS"),
        (TopicAuthorizationFailedError("x"), "acls.sh"),
        (UnknownTopicOrPartitionError("x"), "holdfast topics apply"),
        (KafkaError("x"), "the broker refused"),
        (httpx.ConnectError("x"), "could not be called"),
        (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), "not UTF-8"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.yaml"), "a.yaml: No such file"),
        (OSError("odd"), "odd"),
        (MemoryError(), "no memory is left"),
    ],
)
def test_what_was_foreseen_is_told_with_what_to_do(error, said, capsys):
    assert ended(raising(error)) == ending.EXIT_ERROR
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


@pytest.mark.parametrize("error", [RuntimeError("odd"), RecursionError(), KeyError("k"), AssertionError()])
def test_a_fault_of_its_own_names_the_file_that_has_the_traceback(error, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ended(raising(error)) == ending.EXIT_FAULT
    told = capsys.readouterr().err
    (kept,) = tmp_path.iterdir()
    assert str(kept) in told
    assert type(error).__name__ in told
    assert "Traceback" not in told
    assert kept.read_text(encoding="utf-8").startswith("Traceback")


def test_where_no_file_can_be_written_the_fault_is_told_all_the_same(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nothing"))
    assert ended(raising(RuntimeError("odd"))) == ending.EXIT_FAULT
    assert "RuntimeError: odd" in capsys.readouterr().err


def test_an_argument_that_is_not_utf_8_is_named(capsys):
    assert ended(raising(RuntimeError), "say", "caf\udce9") == ending.EXIT_ERROR
    assert r"argument 2 (caf\xe9) is not UTF-8" in capsys.readouterr().err


def test_what_ends_well_goes_on():
    ending.run(lambda: None, [])


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_of_a_command_is_the_process_s(code):
    assert ended(raising(SystemExit(code))) == code


FILES = {
    "missing": lambda _: None,
    "a folder": lambda path: path.mkdir(),
    "bytes": lambda path: path.write_bytes(os.urandom(64) + b"\xff\x00"),
    "an empty file": lambda path: path.write_bytes(b""),
    "a list": lambda path: path.write_bytes(b"[1, 2]"),
    "a number": lambda path: path.write_bytes(b"1e400\n"),
    "objects of no kind": lambda path: path.write_bytes(b'{"a": {"b": []}}\n'),
    "deep brackets": lambda path: path.write_bytes(b"[" * 100_000),
}
READING = [
    ["playbook", "check"],
    ["playbook", "check", "--format", "json"],
    ["playbook", "check", "--format", "sarif"],
    ["playbook", "publish"],
    ["playbook", "recall"],
    ["feed"],
    ["replay"],
    ["report", "--help"],
    ["evaluate"],
]


@pytest.mark.parametrize("made", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_that_is_no_good_is_told_in_words(command, made, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    made(tmp_path / "file")
    arguments = [*command, "file"]
    code = ended(lambda: app(args=arguments, prog_name="holdfast"), *arguments)
    said = capsys.readouterr()
    assert code in {0, 1, 2}, said.err
    assert "Traceback" not in said.err + said.out


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"PYTHONIOENCODING": "ascii"}, 0),
        ({"LC_ALL": "C", "TERM": "dumb", "COLUMNS": "1"}, 0),
        ({"COLUMNS": "many", "LINES": "-1"}, 0),
        ({"HOLDFAST_NONSENSE": "1"}, 0),
    ],
)
def test_an_odd_terminal_changes_no_outcome(environ, code):
    sample = Path(__file__).parents[4] / "services/operator/samples/bank.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "services.operator", "playbook", "check", str(sample)],
        env={**os.environ, **environ},
        capture_output=True,
        check=False,
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_who_stops_reading_the_output_gets_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "services.operator", "playbook", "schema"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""
