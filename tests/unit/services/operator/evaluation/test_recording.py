import httpx
import pytest
from aiohttp import web

from services.operator.evaluation.recording import RecordingProxy


class Upstream:
    """An endpoint that numbers its answers, and fails where it is told to."""

    def __init__(self):
        self.calls = 0
        self.status = 200
        self.keys = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _answer(self, request):
        self.calls += 1
        self.keys.append(request.headers.get("authorization"))
        headers = {"retry-after": "7"} if self.status == 429 else {}
        return web.json_response({"number": self.calls}, status=self.status, headers=headers)


@pytest.fixture
async def upstream():
    async with Upstream() as running:
        yield running


async def ask(url, body=b'{"a": 1}', turn="t1", key="k"):
    async with httpx.AsyncClient() as client:
        headers = {"x-client-request-id": turn, "authorization": f"Bearer {key}"}
        return await client.post(f"{url}/chat/completions", content=body, headers=headers)


async def test_the_same_question_of_the_same_turn_is_asked_once_and_another_is_another(tmp_path, upstream):
    async with RecordingProxy(tmp_path, upstream.url) as proxy:
        first = (await ask(proxy.url)).json()
        assert (await ask(proxy.url)).json() == first
        assert (await ask(proxy.url, turn="t2")).json() != first
        assert (await ask(proxy.url, body=b'{"a": 2}')).json() != first
        assert (proxy.forwarded, proxy.replayed) == (3, 1)
    assert upstream.keys == ["Bearer k"] * 3


async def test_what_was_recorded_is_replayed_without_the_endpoint_and_nothing_else_is(tmp_path, upstream):
    async with RecordingProxy(tmp_path, upstream.url) as proxy:
        first = (await ask(proxy.url)).json()
    async with RecordingProxy(tmp_path) as proxy:
        assert (await ask(proxy.url)).json() == first
        missing = await ask(proxy.url, turn="t2")
    assert missing.status_code == 404
    assert "not recorded" in missing.text
    assert upstream.calls == 1


async def test_an_error_is_passed_on_and_not_kept(tmp_path, upstream):
    upstream.status = 429
    async with RecordingProxy(tmp_path, upstream.url) as proxy:
        failed = await ask(proxy.url)
        assert (failed.status_code, failed.headers["retry-after"]) == (429, "7")
        upstream.status = 200
        assert (await ask(proxy.url)).status_code == 200
    assert len(list(tmp_path.iterdir())) == 1


async def test_no_key_is_written_to_the_folder(tmp_path, upstream):
    async with RecordingProxy(tmp_path, upstream.url) as proxy:
        await ask(proxy.url, key="very-secret")
    assert not any(b"very-secret" in file.read_bytes() for file in tmp_path.iterdir())


async def test_an_endpoint_that_is_away_is_a_bad_gateway(tmp_path):
    async with RecordingProxy(tmp_path, "http://127.0.0.1:9/v1") as proxy:
        assert (await ask(proxy.url)).status_code == 502
