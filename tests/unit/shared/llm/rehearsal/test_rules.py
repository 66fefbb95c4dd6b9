"""
Rules are found by the name of their module, and a contradiction among them stops the process.
"""

from types import SimpleNamespace

import pytest

from shared.errors import Fatal
from shared.llm.rehearsal.rules import _merge, load_rules


def test_every_rule_in_the_tree_is_callable_by_a_schema_name():
    for name, rule in load_rules().items():
        assert isinstance(name, str)
        assert callable(rule)


def test_a_module_without_rules_is_told_by_name():
    with pytest.raises(Fatal, match=r"rules_x: .*RULES"):
        _merge({}, "rules_x", SimpleNamespace())


def test_two_rules_for_one_schema_are_told_by_name():
    with pytest.raises(Fatal, match="draft_v1"):
        _merge({"draft_v1": dict}, "rules_x", SimpleNamespace(RULES={"draft_v1": dict}))
