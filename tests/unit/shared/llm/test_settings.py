"""
Settings of the model endpoint.
"""

import pytest
from pydantic import ValidationError

from shared.errors import Fatal
from shared.llm.settings import LlmSettings
from shared.settings import ProcessSettings, read_settings


class Process(ProcessSettings):
    llm: LlmSettings = LlmSettings()


def test_they_are_read_from_the_environment():
    read = read_settings(
        Process,
        {
            "HOLDFAST_LLM_URL": "https://api.anthropic.com/v1/",
            "HOLDFAST_LLM_PROVIDER": "anthropic",
            "HOLDFAST_LLM_KEY": "sk-1",
            "HOLDFAST_LLM_IN_FLIGHT_MAX": "7",
            "HOLDFAST_LLM_SEND_TEMPERATURE": "false",
        },
    ).llm
    assert read.url == "https://api.anthropic.com/v1"
    assert read.key.get_secret_value() == "sk-1"
    assert (read.provider, read.in_flight_max, read.send_temperature) == ("anthropic", 7, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8081",
        "ftp://host/v1",
        "http://",
        "http://user:key@host/v1",
        "http://[::1",
        "http://host:99999/v1",
        "http://host:0/v1",
        "http://xn--/v1",
        "http://host/v1#part",
        "http://\u2488com/v1",
    ],
)
def test_an_address_that_cannot_work_stops_the_process_by_name(url):
    with pytest.raises(Fatal, match="HOLDFAST_LLM_URL"):
        read_settings(Process, {"HOLDFAST_LLM_URL": url})


@pytest.mark.parametrize("key", ["sk-hidden\nsk-2", "sk-hidden “x”", "sk-hidden 1", "sk-hidden\0"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_quoted(key):
    with pytest.raises(ValidationError) as caught:
        LlmSettings(key=key)
    assert "hidden" not in str(caught.value)
    with pytest.raises(Fatal, match="HOLDFAST_LLM_KEY") as fatal:
        read_settings(Process, {"HOLDFAST_LLM_KEY": key})
    assert "hidden" not in str(fatal.value)


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(Fatal, match="in_flight_min"):
        read_settings(Process, {"HOLDFAST_LLM_IN_FLIGHT_MAX": "1"})
