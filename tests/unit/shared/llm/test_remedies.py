"""A parameter that a model refuses is left out, and the setting that makes it last is named."""

import asyncio
import json

import httpx
import pytest
from structlog.testing import capture_logs

from shared.llm.adapter import HttpModel
from shared.llm.client import build_model
from shared.llm.errors import ModelRefused, ModelUnavailable
from shared.llm.probe import probe
from shared.llm.remedies import REFUSED, TOO_LARGE, remedy_for
from shared.llm.settings import LlmSettings

LIMIT = "HOLDFAST_LLM_OUTPUT_LIMIT_PARAMETER=max_completion_tokens"
NO_TEMPERATURE = "HOLDFAST_LLM_SEND_TEMPERATURE=false"
COLOUR = '{"colour": "ultramarine"}'


@pytest.mark.parametrize(
    ("parameter", "message", "words", "found"),
    [
        ("max_tokens", "Unsupported parameter; use 'max_completion_tokens' instead.", (), "max_tokens"),
        ("", "'max_tokens' is not supported with this model. Use 'max_completion_tokens'.", (), "max_tokens"),
        ("temperature", "", ("unsupported_value",), "temperature"),
        ("", "Unsupported value: 'temperature' does not support 0.1 with this model.", (), "temperature"),
        ("", "`temperature` is deprecated for this model.", (), "temperature"),
        ("max_completion_tokens", "Extra inputs are not permitted", ("extra_forbidden",), "max_completion_tokens"),
        ("", "Unrecognized request argument supplied: prompt_cache_key", (), "prompt_cache_key"),
        ("encoding_format", "base64 is not supported", (), "encoding_format"),
    ],
)
def test_a_refused_parameter_has_its_setting(parameter, message, words, found):
    assert remedy_for(parameter, message, words) is REFUSED[found]


def test_a_limit_that_is_too_large_is_not_a_limit_that_is_unknown():
    message = "max_tokens is too large: 16384. This model supports at most 4096 completion tokens."
    assert remedy_for("max_tokens", message, ("invalid_value",)) is TOO_LARGE


@pytest.mark.parametrize(
    ("parameter", "message"), [("", ""), ("messages", "not supported"), ("temperature", "must be at most 1")]
)
def test_what_no_setting_mends_has_none(parameter, message):
    assert remedy_for(parameter, message, ()) is None


class Server:
    """Refuses a request that has one of *refused*, the first of them first; notes the keys of what it was asked."""

    def __init__(self, *refused, always=False):
        self.refused, self.always, self.asked = refused, always, []

    async def __call__(self, request):
        body = json.loads(request.content)
        self.asked.append(sorted({"max_tokens", "max_completion_tokens", "temperature"} & body.keys()))
        # Requests that are under way at once are answered after all of them have come.
        await asyncio.sleep(0)
        found = next((name for name in self.refused if self.always or name in body), None)
        if found is not None:
            told = {"message": f"'{found}' is not supported with this model", "param": found}
            return httpx.Response(400, json={"error": told})
        return httpx.Response(200, json={"choices": [{"message": {"content": COLOUR}}], "usage": {}})


@pytest.fixture
def model_of(metrics):
    def make(server, **settings):
        return build_model(LlmSettings(**settings), metrics, transport=httpx.MockTransport(server))

    return make


async def test_it_is_left_out_at_once_and_from_then_on(make_request, model_of):
    server = Server("max_tokens")
    async with model_of(server) as model:
        with capture_logs() as logs:
            for _ in range(3):
                assert (await model.complete(make_request())).text == COLOUR
    assert server.asked == [["max_tokens", "temperature"]] + 3 * [["max_completion_tokens", "temperature"]]
    [told] = [entry["settings"] for entry in logs if "settings" in entry]
    assert told == [LIMIT]


async def test_several_are_left_out(make_request, model_of):
    server = Server("max_tokens", "temperature")
    async with model_of(server) as model:
        with capture_logs() as logs:
            await model.complete(make_request())
            await model.complete(make_request())
    assert server.asked[2:] == [["max_completion_tokens"], ["max_completion_tokens"]]
    assert [entry["settings"] for entry in logs if "settings" in entry] == [[LIMIT, NO_TEMPERATURE]]


async def test_requests_at_once_find_out_once(make_request, model_of):
    server = Server("temperature")
    async with model_of(server) as model:
        answers = await asyncio.gather(*(model.complete(make_request()) for _ in range(5)))
    assert [answer.text for answer in answers] == 5 * [COLOUR]
    assert server.asked.count(["max_tokens", "temperature"]) == 5
    assert len(server.asked) == 10


async def test_what_does_not_help_is_tried_once(make_request, model_of):
    server = Server("temperature", always=True)
    async with model_of(server) as model:
        for _ in range(3):
            with pytest.raises(ModelRefused, match=NO_TEMPERATURE):
                await model.complete(make_request())
    assert server.asked == [["max_tokens", "temperature"], ["max_tokens"], *2 * [["max_tokens", "temperature"]]]


async def test_what_fails_for_another_reason_is_tried_again(make_request):
    answers = iter([400, 503, 400, 200])

    def handle(request):
        status = next(answers)
        told = {"error": {"message": "'temperature' is not supported", "param": "temperature"}}
        good = {"choices": [{"message": {"content": COLOUR}}]}
        return httpx.Response(status, json=good if status == 200 else told)

    async with HttpModel(LlmSettings(), transport=httpx.MockTransport(handle)) as model:
        with pytest.raises(ModelUnavailable):
            await model.complete(make_request())
        assert (await model.complete(make_request())).text == COLOUR


async def test_the_probe_finds_out_before_any_customer_asks(metrics, model_of):
    server = Server("max_tokens", "temperature")
    async with model_of(server) as model:
        with capture_logs() as logs:
            assert await probe(model, model.settings, metrics) == "enforced"
        assert model.obstacle() == ""
    assert [entry["settings"] for entry in logs if "settings" in entry] == [[LIMIT, NO_TEMPERATURE]]


async def test_an_endpoint_that_refuses_all_is_an_obstacle_until_it_answers(make_request, metrics, model_of):
    server = Server("max_tokens", always=True)
    async with model_of(server) as model:
        assert model.obstacle() == ""
        assert await probe(model, model.settings, metrics) == "refused"
        assert LIMIT in model.obstacle()
        server.refused = ()
        await model.complete(make_request())
        assert model.obstacle() == ""
        server.refused = ("max_tokens",)
        with pytest.raises(ModelRefused):
            await model.complete(make_request())
        assert model.obstacle() == ""


async def test_an_endpoint_that_is_away_is_none(make_request, model_of):
    async with model_of(lambda _: httpx.Response(503), retries_max=0) as model:
        with pytest.raises(ModelUnavailable):
            await model.complete(make_request())
        assert model.obstacle() == ""
