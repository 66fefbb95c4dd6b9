"""
/metrics, /healthz and /readyz, served from threads of their own.

Threads, because the event loop is what the probe asks about: a loop that is stuck could not answer that it is stuck,
and a loop with thousands of ready tasks would answer late. A thread answers between two bytecodes of whatever the loop
runs.
"""

import contextlib
import http.server
import socket
import socketserver
import sys
import threading
import time
import traceback
from http import HTTPStatus
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from shared.errors import Fatal
from shared.telemetry.health import Health

CONNECTIONS_MAX = 16
"""Connections served at once, each by a thread; one more takes the place of the oldest."""
THREADS_MAX = 2 * CONNECTIONS_MAX
"""Threads at once, those included that have lost their connection and do not know it yet."""
REQUEST_SECONDS_MAX = 5.0
"""How long a connection may take from its opening until its answer is read, however it spends that time."""
_POLL_SECONDS = 0.1
_STOP_SECONDS = 2.0
_PLAIN = "text/plain; charset=utf-8"

log = structlog.get_logger(__name__)


class TelemetryServer:
    """
    Serves the metrics of *registry* and the probes of *health*; *port* 0 takes a free one, which `port` tells after
    `start`.

    * `/metrics`: Prometheus text, or OpenMetrics where the scraper asks for it.
    * `/healthz`: 200 while all parts of *health* beat, 503 once one has been silent for longer than its limit; the
      first such answer logs the stack of the thread that called `start`, which shows where the loop hangs.
    * `/readyz`: 200 while `health.ready` and without an obstacle, else 503 and why.

    Collectors in *registry* are read from a thread: they must not touch what only the event loop may.
    """

    def __init__(self, registry: CollectorRegistry, health: Health, host: str, port: int) -> None:
        self._registry = registry
        self._health = health
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._address[1]

    @property
    def url(self) -> str:
        """The server's address, as in `http://127.0.0.1:9464`."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """
        Listen and serve.

        Raises:
            Fatal: the address cannot be listened on.

        """
        host, port = self._address
        try:
            self._server = _Server(self._address, self._registry, self._health)
        except OSError as error:
            raise Fatal(
                f"telemetry cannot listen on {host}:{port}: {error.strerror}; "
                "set HOLDFAST_TELEMETRY_HOST and HOLDFAST_TELEMETRY_PORT to a free address"
            ) from None
        self._address = (host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve, name="telemetry", daemon=True)
        self._thread.start()
        log.info("telemetry is served", url=self.url)

    async def stop(self) -> None:
        """
        Stop listening; a request under way is still answered. Without effect where nothing was started.

        It holds the loop for as long as the server's thread takes to notice, 0.1 s, and starts no thread: where that
        one found no memory to begin with, CPython 3.11's `Thread.start` would wait for it for ever.
        """
        if self._server is None or self._thread is None:
            return
        self._server.closing = True
        self._thread.join(_STOP_SECONDS)
        self._server.server_close()
        self._server = self._thread = None


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    timeout = _POLL_SECONDS
    closing = False

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, health: Health) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry = registry
        self.health = health
        self._watched = threading.get_ident()
        self._told = False
        self._connections = _Connections()
        super().__init__(address, _Handler)

    def serve(self) -> None:
        while not self.closing:
            self.handle_request()
            self._connections.cut_overdue(time.monotonic())

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._connections.open(request, time.monotonic()):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.threads.release()

    def shutdown_request(self, request: Any) -> None:
        self._connections.forget(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        log.debug("a telemetry request broke off", error=repr(sys.exception()))

    def complaint(self) -> str:
        """Which part makes no progress; empty if all do. Logs once per silence where the watched thread stands."""
        part, seconds = self.health.silence()
        stuck = seconds > self.health.limit_seconds
        if stuck and not self._told:
            frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - documented for this very use
            stack = "".join(traceback.format_stack(frame)) if frame else "the thread has ended"
            log.error("no progress", part=part, silent_seconds=round(seconds, 1), stack=stack)
        self._told = stuck
        return f"{part} has made no progress for {seconds:.0f} s" if stuck else ""


class _Connections:
    """
    The open connections, oldest first, and the threads that serve them.

    A probe or a scrape needs milliseconds, so whoever has waited longest is the one to lose its place: connections
    that send or read slowly, by intent or not, cannot keep a probe out. A cut socket ends its thread's next read or
    write.
    """

    def __init__(self) -> None:
        self.threads = threading.BoundedSemaphore(THREADS_MAX)
        self._opened: dict[socket.socket, float] = {}
        self._lock = threading.Lock()

    def open(self, connection: socket.socket, now: float) -> bool:
        """Make room for *connection* and remember it; false where all threads are taken."""
        if not self.threads.acquire(blocking=False):
            return False
        with self._lock:
            if len(self._opened) >= CONNECTIONS_MAX:
                self._cut(next(iter(self._opened)))
            self._opened[connection] = now
        return True

    def cut_overdue(self, now: float) -> None:
        """Cut the connections that have had their time."""
        with self._lock:
            for connection in [c for c, opened in self._opened.items() if now - opened > REQUEST_SECONDS_MAX]:
                self._cut(connection)

    def forget(self, connection: socket.socket) -> None:
        """*connection* is about to be closed."""
        with self._lock:
            self._opened.pop(connection, None)

    def _cut(self, connection: socket.socket) -> None:
        del self._opened[connection]
        with contextlib.suppress(OSError):  # the other side was first
            connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS_MAX
    server_version = "holdfast"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, encode(self.server.registry), content_type)
            case "/healthz":
                complaint = self.server.complaint()
                self._probe(not complaint, complaint or "alive")
            case "/readyz":
                why_not = self._why_not_ready()
                self._probe(not why_not, f"not ready: {why_not}" if why_not else "ready")
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"here are /metrics, /healthz and /readyz\n", _PLAIN)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _why_not_ready(self) -> str:
        health = self.server.health
        return health.obstacle() if health.ready else "the group is not joined, or the process stops"

    def _probe(self, well: bool, told: str) -> None:
        self._answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, f"{told}\n".encode(), _PLAIN)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        log.debug("telemetry request", request=format % args)
