"""Sizes that keep the code readable, and the places where an error of any kind may be swallowed."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 400
LONG_MODULES = {"shared/telemetry/catalogue.py": "one table, one entry a metric"}
FUNCTION_LINES_MAX = 70
BROAD = {"Exception", "BaseException"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

SWALLOWING = {
    "services/operator/ending.py": "the last one of a command: tells, and exits non-zero",
    "services/operator/adapters/reader.py": "a record that cannot be read is counted, and the reader goes on behind it",
    "services/operator/heartbeat.py": "the watch tells that beats fail, whatever fails",
    "shared/playbook/topic.py": "a record of one tenant costs its own version, not the process",
    "shared/stage/attempts.py": "whatever a record raises costs that record",
    "shared/stage/turn_stage.py": "what late work raises is as late as its result",
    "shared/stage/unexpected.py": "a step beside the work, as taking note or logging, costs nothing but itself",
    "shared/telemetry/tracebacks.py": "any class may be an exception's, and what it says is foreign code",
    "services/reasoner/adapters/http_retriever.py": "whatever a foreign call trips over, the turn goes on without it",
    "services/reasoner/adapters/mcp_tools.py": "whatever the SDK or a server trips over costs that call alone",
    "services/reasoner/adapters/runners.py": "whatever a foreign call trips over costs that call alone",
    "shared/broker/unreadable.py": "what a foreign decoder trips over costs that batch alone",
    "shared/stage/committer.py": "progress that was not committed is put back, whatever was in the way",
    "shared/stage/workers.py": "a bug of the runtime costs its task, not the process",
    "shared/stage/fold.py": "a bug in a ledger costs the input, not the process",
    "shared/stage/kafka_producers.py": "a client that failed once fails again on closing",
    "shared/stage/ledger.py": "every error of a task has its outcome here; closing a lost task is only polite",
    "shared/stage/ledger_task.py": "a callback's failure is raised by the task that waits for it",
    "shared/stage/process.py": "the last one: tells, and exits non-zero",
}
"""File → why it may catch anything and go on. Catching anything to clean up and raise again needs no listing."""


def sources(*folders):
    return {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
    }


SOURCES = sources("services", "shared")


def functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def swallowing(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in caught)
            if broad and not isinstance(node.body[-1], ast.Raise):
                yield node.lineno


def test_a_module_has_one_subject():
    long = {name: lines for name, text in SOURCES.items() if (lines := text.count("\n")) > MODULE_LINES_MAX}

    assert {name: lines for name, lines in long.items() if name not in LONG_MODULES} == {}


def test_a_function_fits_on_a_screen():
    long = {
        f"{name}:{function}": lines
        for name, text in SOURCES.items()
        for function, lines in functions(text)
        if lines > FUNCTION_LINES_MAX
    }

    assert long == {}


def test_only_the_listed_places_swallow_everything():
    found = {name for name, text in SOURCES.items() if any(swallowing(text))}

    assert sorted(found - SWALLOWING.keys()) == [], "catch what can happen, or list the file with its reason"
    assert sorted(SWALLOWING.keys() - found) == [], "no longer needed"


def test_modules_are_named_for_what_they_are():
    assert [name for name in SOURCES if FORBIDDEN_NAMES & set(Path(name).with_suffix("").parts)] == []


def test_the_checks_see_what_they_look_for():
    text = "def f():\n" + "    x = 1\n" * 80 + "try:\n    f()\nexcept (ValueError, Exception):\n    pass\n"

    assert dict(functions(text)) == {"f": 81}
    assert list(swallowing(text)) == [84]
    assert list(swallowing("try:\n    f()\nexcept:\n    pass")) == [3]
    assert list(swallowing("try:\n    f()\nexcept ValueError:\n    pass")) == []
    assert list(swallowing("try:\n    f()\nexcept BaseException:\n    g()\n    raise")) == []
