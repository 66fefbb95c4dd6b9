"""
Connections: frames in, frames out.

As in Apache Kafka a connection handles one request at a time and answers in order; a parked fetch or JoinGroup holds up
what follows on its connection, and only there.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from shared.broker.embedded import wire
from shared.broker.embedded.codes import Code
from shared.broker.embedded.wire import Api

logger = logging.getLogger(__name__)

_HEADER = struct.Struct(">hhih")
_REPLY = struct.Struct(">ii")
_UNSUPPORTED = struct.Struct(">h")


class Caller(NamedTuple):
    """Who asks."""

    client_id: str
    host: str


class Call:
    """One request under way; it is answered once, or its connection is dropped."""

    __slots__ = ("_connection", "_correlation_id", "caller", "request")

    def __init__(self, connection: "Connection", correlation_id: int, caller: Caller, request: wire.Request) -> None:
        self._connection = connection
        self._correlation_id = correlation_id
        self.caller = caller
        self.request = request

    @property
    def body(self) -> Any:
        """The request's fields, in the newest version's shape."""
        return self.request.body

    @property
    def abandoned(self) -> bool:
        """Has the connection gone? Then no answer is heard."""
        return self._connection.closed

    def answer(self, *fields: Any) -> None:
        """Answer in the newest version's fields."""
        encoded = wire.encode(self.request.api, self.request.version, fields)
        self._connection.send(_REPLY.pack(len(encoded) + 4, self._correlation_id) + encoded)

    def answer_nothing(self) -> None:
        """Go on without an answer (a produce request with acks=0 gets none)."""
        self._connection.send(b"")

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._connection.close()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self, handle: Callable[[Call], None], connections: "set[Connection]", *, request_bytes_max: int
    ) -> None:
        self.closed = False
        self._handle = handle
        self._connections = connections
        self._request_bytes_max = request_bytes_max
        self._buffer = bytearray()
        self._busy = False
        self._pumping = False
        self._writable = True
        self._transport: asyncio.Transport | None = None
        self._host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are no subclasses of asyncio's, so an isinstance check would refuse them.
        self._transport = cast("asyncio.Transport", transport)
        self._host = str((transport.get_extra_info("peername") or ("",))[0])
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End: what is parked for this client is answered to nobody."""
        self.closed = True
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; handle what is complete."""
        self._buffer += data
        self._pump()

    def pause_writing(self) -> None:
        """The client does not read: handle nothing more for it."""
        self._writable = False

    def resume_writing(self) -> None:
        """The client reads again."""
        self._writable = True
        self._pump()

    def send(self, frame: bytes) -> None:
        """Answer the request under way and go on with the next."""
        if self.closed or self._transport is None:
            return
        if frame:
            self._transport.write(frame)
        self._busy = False
        if not self._pumping:
            # Not at once: the answer may come from the middle of a group's state change.
            asyncio.get_running_loop().call_soon(self._pump)

    def close(self) -> None:
        """Close once what is written has left."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what is written and not yet sent is lost."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def _pump(self) -> None:
        self._pumping = True
        try:
            while not (self._busy or self.closed) and self._writable:
                frame = self._next_frame()
                if frame is None:
                    return
                self._busy = True
                self._serve(frame)
        finally:
            self._pumping = False

    def _next_frame(self) -> bytes | None:
        if len(self._buffer) < 4:  # noqa: PLR2004 - the length field
            return None
        length = int.from_bytes(self._buffer[:4], "big", signed=True)
        if not _HEADER.size <= length <= self._request_bytes_max:
            logger.warning("%s: a request of %d bytes; connection closed", self._host, length)
            self.close()
            return None
        if len(self._buffer) < 4 + length:
            return None
        frame = bytes(memoryview(self._buffer)[4 : 4 + length])
        del self._buffer[: 4 + length]
        return frame

    def _serve(self, frame: bytes) -> None:
        key, version, correlation_id, name_length = _HEADER.unpack_from(frame)
        if not wire.speaks(key, version):
            self._refuse_version(key, version, correlation_id)
            return
        body = _HEADER.size + max(name_length, 0)
        try:
            client_id = frame[_HEADER.size : body].decode()
            request = wire.decode(Api(key), version, frame[body:])
        except (ValueError, TypeError) as error:
            logger.warning("%s: unreadable %s v%d (%s); connection closed", self._host, Api(key).name, version, error)
            self.close()
            return
        self._handle(Call(self, correlation_id, Caller(client_id, self._host), request))

    def _refuse_version(self, key: int, version: int, correlation_id: int) -> None:
        if key != Api.API_VERSIONS:
            logger.warning("%s: API %d v%d is not spoken here; connection closed", self._host, key, version)
            self.close()
            return
        # KIP-511: an unknown ApiVersions is answered in the form of version 0, with what is spoken.
        encoded = wire.encode(Api.API_VERSIONS, 0, (Code.UNSUPPORTED_VERSION, wire.RANGES, 0))
        self.send(_REPLY.pack(len(encoded) + 4, correlation_id) + encoded)
