import asyncio
import contextlib
import http.client
import itertools
import socket
import threading

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from shared.errors import Fatal
from shared.telemetry.health import Health
from shared.telemetry.registry import new_registry
from shared.telemetry.server import CONNECTIONS_MAX, TelemetryServer


def ask(server, path, *, method="GET", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
async def served():
    registry, health = CollectorRegistry(), Health()
    server = TelemetryServer(registry, health, "127.0.0.1", 0)
    await server.start()
    yield server, registry, health
    await server.stop()


async def test_metrics_are_prometheus_text(served):
    server, registry, _ = served
    Counter("holdfast_tests", "What for.", registry=registry).inc(3)

    status, headers, text = await asyncio.to_thread(ask, server, "/metrics")

    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    assert samples["holdfast_tests_total"] == 3.0


async def test_who_takes_part_in_vain_is_not_ready_and_says_why(served):
    server, _, health = served
    health.ready = True
    told = ["the key is refused"]
    health.obstacle = lambda: told[0]

    status, _, text = await asyncio.to_thread(ask, server, "/readyz")
    assert (status, text) == (503, "not ready: the key is refused\n")

    told[0] = ""
    assert (await asyncio.to_thread(ask, server, "/readyz"))[0] == 200


async def test_a_scraper_that_asks_for_openmetrics_gets_it(served):
    server, _, _ = served

    _, headers, text = await asyncio.to_thread(
        ask, server, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )

    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_readiness_follows_health(served):
    server, _, health = served
    assert (await asyncio.to_thread(ask, server, "/readyz"))[0] == 503

    health.ready = True

    assert (await asyncio.to_thread(ask, server, "/readyz"))[0] == 200


async def test_unknown_paths_and_methods_are_refused(served):
    server, _, _ = served

    assert (await asyncio.to_thread(ask, server, "/secrets"))[0] == 404
    assert (await asyncio.to_thread(ask, server, "/healthz", method="POST"))[0] == 501


async def test_head_answers_without_a_body(served):
    server, _, _ = served

    status, headers, text = await asyncio.to_thread(ask, server, "/healthz", method="HEAD")

    assert (status, headers["Content-Length"], text) == (200, "6", "")


async def test_liveness_turns_red_while_the_event_loop_is_blocked_and_green_after():
    health = Health(limit_seconds=0.2)
    server = TelemetryServer(CollectorRegistry(), health, "127.0.0.1", 0)
    await server.start()
    first_red = threading.Event()
    seen = []

    def probe():
        while not seen or seen[-1] != 503:
            seen.append(ask(server, "/healthz")[0])
        first_red.set()

    try:
        with structlog.testing.capture_logs() as logs:
            prober = threading.Thread(target=probe)
            prober.start()
            assert first_red.wait(timeout=30)  # blocks the loop: no beat can come
            prober.join()
            ask(server, "/healthz")
        health.beat()

        assert seen[-1] == 503
        assert (await asyncio.to_thread(ask, server, "/healthz"))[0] == 200
    finally:
        await server.stop()

    stuck = [line for line in logs if line["log_level"] == "error"]
    assert len(stuck) == 1, "a silence is told once"
    assert "first_red.wait" in stuck[0]["stack"], "the log shows where the loop hangs"


async def test_an_answer_comes_while_thousands_of_tasks_keep_the_loop_busy(served):
    server, _, health = served
    stop = False

    async def spin():
        while not stop:  # noqa: ASYNC110 - being always ready to run is the point
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(spin()) for _ in range(3_000)]
    status, _, _ = await asyncio.to_thread(ask, server, "/metrics")
    health.beat()
    stop = True
    await asyncio.gather(*tasks)

    assert status == 200


async def test_a_port_in_use_is_fatal_and_names_the_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = TelemetryServer(CollectorRegistry(), Health(), "127.0.0.1", taken.getsockname()[1])

        with pytest.raises(Fatal, match="HOLDFAST_TELEMETRY_PORT"):
            await server.start()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def dripping(connection, stop):
    """Send a request one byte at a time, so that the connection is never silent for long."""
    with contextlib.suppress(OSError):
        for byte in itertools.chain(b"GET /healthz HTTP/1.1\r\nX-Slow: ", itertools.repeat(120)):
            if stop.wait(0.02):
                return
            connection.sendall(bytes([byte]))


async def test_a_probe_is_answered_while_silent_connections_hold_every_place(served):
    server, _, _ = served
    silent = [connected(server) for _ in range(CONNECTIONS_MAX)]

    assert (await asyncio.to_thread(ask, server, "/healthz"))[0] == 200

    for connection in silent:
        connection.close()


async def test_the_oldest_connection_makes_room(served):
    server, _, _ = served
    silent = [connected(server) for _ in range(CONNECTIONS_MAX + 1)]

    assert await asyncio.to_thread(silent[0].recv, 1) == b""

    for connection in silent:
        connection.close()


async def test_a_probe_is_answered_while_connections_drip_bytes_and_others_do_not_read(served):
    server, registry, _ = served
    Counter("holdfast_tests", "w" * 1_000_000, registry=registry)
    stop = threading.Event()
    slow = [connected(server) for _ in range(CONNECTIONS_MAX)]
    drips = [threading.Thread(target=dripping, args=(connection, stop)) for connection in slow[::2]]
    for thread in drips:
        thread.start()
    for connection in slow[1::2]:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")

    statuses = [(await asyncio.to_thread(ask, server, "/readyz"))[0] for _ in range(2 * CONNECTIONS_MAX)]

    stop.set()
    for thread in drips:
        thread.join()
    for connection in slow:
        connection.close()
    assert statuses == [503] * len(statuses)


async def test_a_request_has_a_bounded_time_however_slowly_it_comes(served, monkeypatch):
    monkeypatch.setattr("shared.telemetry.server.REQUEST_SECONDS_MAX", 0.3)
    server, _, _ = served
    connection, stop = connected(server), threading.Event()
    drip = threading.Thread(target=dripping, args=(connection, stop))
    drip.start()

    answer = await asyncio.to_thread(connection.recv, 1)

    stop.set()
    drip.join()
    connection.close()
    assert answer == b""


async def test_stopping_frees_the_port_and_may_be_repeated():
    server = TelemetryServer(CollectorRegistry(), Health(), "127.0.0.1", 0)
    await server.stop()
    await server.start()
    port = server.port
    await server.stop()
    await server.stop()

    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_process_tells_what_it_is():
    registry = new_registry("matcher")

    [info] = [f for f in registry.collect() if f.name == "holdfast_build"]
    assert info.samples[0].labels["service"] == "matcher"
    assert registry.get_sample_value("process_resident_memory_bytes") > 0
