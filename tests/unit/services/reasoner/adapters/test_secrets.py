"""Secrets: read from files, never told."""

import pytest

from services.reasoner.adapters.secrets import SecretMissing, Secrets, masked


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "bank-key").write_text("s3cr3t-value\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lines").write_text("a\nb: c")
    (tmp_path / "raw").write_bytes(b"\xff\xfe")
    return tmp_path


def test_a_header_is_filled_whole_or_after_its_scheme(directory):
    declared = {"x-key": "secret:bank-key", "authorization": "Bearer secret:bank-key", "accept": "text/plain"}
    assert Secrets(str(directory)).headers(declared) == {
        "x-key": "s3cr3t-value",
        "authorization": "Bearer s3cr3t-value",
        "accept": "text/plain",
    }


def test_a_rotated_secret_counts_at_once(directory):
    secrets = Secrets(str(directory))
    (directory / "bank-key").write_text("another")
    assert secrets.headers({"x-key": "secret:bank-key"}) == {"x-key": "another"}


@pytest.mark.parametrize("name", ["missing", "../bank-key", "/etc/hostname", "", ".", "empty", "lines", "raw", "a b"])
def test_a_secret_that_cannot_be_read_is_named_and_not_shown(directory, name):
    with pytest.raises(SecretMissing) as missing:
        Secrets(str(directory)).headers({"x-key": f"secret:{name}"})
    assert "s3cr3t" not in str(missing.value)
    assert repr(name) in str(missing.value)


def test_without_a_directory_there_are_no_secrets():
    with pytest.raises(SecretMissing, match="HOLDFAST_OUTGOING_SECRETS_DIRECTORY"):
        Secrets("").headers({"x-key": "secret:bank-key"})


@pytest.mark.parametrize(
    "echo",
    ["s3cr3t/va+lue ==", "s3cr3t%2Fva%2Blue%20%3D%3D", "s3cr3t%2Fva%2Blue+%3D%3D", "czNjcjN0L3ZhK2x1ZSA9PQ=="],
)
def test_what_is_echoed_in_another_form_is_masked_too(echo):
    assert "s3cr3t" not in str(masked({"a": f"?key={echo}&x"}, ["s3cr3t/va+lue =="]))
    assert "czNj" not in str(masked([echo], ["s3cr3t/va+lue =="]))


def test_what_a_tool_echoes_is_masked_wherever_it_stands(directory):
    held = Secrets(str(directory)).values({"authorization": "Bearer secret:bank-key", "x": "secret:missing", "y": "z"})
    assert held == ("s3cr3t-value",)
    echoed = {"a": ["denied for s3cr3t-value", 7, None], "s3cr3t-value": {"b": "xs3cr3t-valuex"}}
    assert masked(echoed, held) == {"a": ["denied for ***", 7, None], "***": {"b": "x***x"}}
