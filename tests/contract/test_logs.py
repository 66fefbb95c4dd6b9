"""No message text gets into a log: not by a known name (processors see to that), nor inside an event's words."""

import ast
from pathlib import Path

from shared.telemetry.redaction import SECRET_KEYS, SECRET_SUFFIXES, TEXT_KEYS

ROOT = Path(__file__).parents[2]
LOGGERS = {"log", "_log", "logger", "_logger"}
WRITES = {"debug", "info", "warning", "error", "critical", "exception", "bind"}
ABOVE_DEBUG = WRITES - {"debug"}


def log_calls(text):
    """Every call of a logger's method in *text*: (line, method, call)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            target = node.func.value
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            if name in LOGGERS:
                yield node.lineno, node.func.attr, node


def complaints(text):
    for line, method, call in log_calls(text):
        if call.args and not isinstance(call.args[0], ast.Constant):
            yield f"line {line}: an event's words are fixed; what varies is a field"
        for field in call.keywords:
            name = (field.arg or "").lower()
            if name in SECRET_KEYS or name.endswith(SECRET_SUFFIXES):
                yield f"line {line}: {name} is a secret"
            if method in ABOVE_DEBUG and name in TEXT_KEYS:
                yield f"line {line}: {name} is a text"


def test_log_lines_have_fixed_words_and_no_texts():
    found = {
        str(file.relative_to(ROOT)): told
        for folder in ("services", "shared")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if (told := list(complaints(file.read_text(encoding="utf-8"))))
    }

    assert found == {}


def test_there_are_log_lines_to_check():
    lines = [call for file in (ROOT / "shared").rglob("*.py") for call in log_calls(file.read_text(encoding="utf-8"))]

    assert len(lines) > 10


def test_the_check_sees_what_it_looks_for():
    assert list(complaints('log.info(f"got {text}")')) == ["line 1: an event's words are fixed; what varies is a field"]
    assert list(complaints('self._log.warning("got", text=text)')) == ["line 1: text is a text"]
    assert list(complaints('log.debug("got", api_key=key)')) == ["line 1: api_key is a secret"]
    assert list(complaints('log.debug("got", text=text)')) == []
    assert list(complaints('log.info("got", size_bytes=3)')) == []
