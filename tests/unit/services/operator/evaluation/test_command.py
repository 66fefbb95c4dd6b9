import pytest
from typer.testing import CliRunner

from services.operator.cli import app
from shared.errors import Fatal


@pytest.mark.parametrize(
    ("options", "provider", "told"),
    [
        (("--record", "a", "--replay", "b"), "openai", "give one of them"),
        (("--record", "a", "--model", "scripted"), "openai", "has none"),
        (("--replay", "a"), "anthropic", "only OpenAI-compatible"),
        (("--area", "nowhere"), "openai", "no scenario to play"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(tmp_path, monkeypatch, options, provider, told):
    monkeypatch.setenv("HOLDFAST_OPERATOR_FOLDER", str(tmp_path / "folder"))
    monkeypatch.setenv("HOLDFAST_LLM_PROVIDER", provider)
    done = CliRunner().invoke(app, ["evaluate", *options])
    assert isinstance(done.exception, Fatal)
    assert told in str(done.exception)
    assert not (tmp_path / "folder").exists()
