"""One connection to an openpi server, which is reopened after it was lost.

The connection runs in an event loop in its own thread. So every wait ends at the deadline, also
while sending, and pings are answered between requests.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.remote.protocol import ProtocolError, pack, unpack

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
_CLOSE_TIMEOUT_S = 1.0
_LONGEST_REASON = 300
_TRACEBACK = "Traceback (most recent call last)"


class RemoteError(PolicyError):
    """The server gave no usable answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """``timeout_s``: longest wait for connection plus answer; ``api_key`` "": none is sent."""

    url: str
    timeout_s: float = 10.0
    api_key: str = ""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise PolicyError(f"remote is {self.url!r}; give ws://HOST:PORT, or wss:// for TLS")
        if not 0.0 < self.timeout_s < float("inf"):
            raise PolicyError(f"remote_timeout_s is {self.timeout_s}; give a positive number")

    @property
    def address(self) -> str:
        """Host, and port where one is given."""
        return urlsplit(self.url).netloc


class RemoteClient:
    """Sends observations and returns answers. Requests must not overlap; any thread may close.

    After a failure the connection is dropped, so that a late answer is never mistaken for the
    answer to the next request. The client reconnects after a delay, and requests before that fail
    at once. The delay doubles with each failure, up to 5 s, until the caller accepts an answer
    (:meth:`accept`).
    """

    def __init__(self, options: RemoteOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._delay_s = 0.0
        self._retry_at_s = 0.0
        self._problem = ""
        self._connection: ClientConnection | None = None
        self.metadata: dict[str, Any] = {}
        self._lock = threading.Lock()  # after the order to end, the loop gets no more work
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote", daemon=True)
        self._thread.start()

    def request(self, message: dict[str, Any]) -> Any:
        """Send one message and return the answer. Raises :class:`RemoteError` with the cause."""
        self._refuse_while_waiting()
        data = pack(message)
        try:
            reply = self._run(self._exchange, data)
        except (asyncio.TimeoutError, concurrent.futures.TimeoutError):
            raise self.fail(f"no answer within {self._options.timeout_s:g} s") from None
        except concurrent.futures.CancelledError:
            raise RemoteError(self._about("the connection was closed here")) from None
        except (OSError, WebSocketException, PolicyError) as error:
            raise self.fail(_reason(error)) from error
        if isinstance(reply, str):
            raise self.fail(f"the server failed: {_message_of(reply)}")
        try:
            return unpack(reply)
        except ProtocolError as error:
            raise self.fail(str(error)) from error

    def accept(self) -> None:
        """Confirm the latest answer: after the next failure, the delay starts short again."""
        self._delay_s = 0.0

    def fail(self, reason: str) -> RemoteError:
        """Drop the connection and double the delay; returns the error to raise."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(self._drop)
        self._problem = self._about(reason)
        self._delay_s = min(max(2.0 * self._delay_s, _FIRST_DELAY_S), _LONGEST_DELAY_S)
        self._retry_at_s = self._clock() + self._delay_s
        return RemoteError(self._problem)

    def close(self) -> None:
        """Cancel a running request and close the connection; returns within about a second."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop)
        self._thread.join(2.0 * _CLOSE_TIMEOUT_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _refuse_while_waiting(self) -> None:
        wait_s = self._retry_at_s - self._clock()
        if self._delay_s > 0.0 and wait_s > 0.0:
            raise RemoteError(f"{self._problem}; next attempt in {wait_s:.1f} s")

    def _run(
        self, work: Callable[[bytes], Coroutine[Any, Any, bytes | str]], data: bytes
    ) -> bytes | str:
        """Run in the loop's thread and wait. The loop keeps the deadline; twice that is a bug."""
        timeout_s = self._options.timeout_s
        with self._lock:
            if self._closed:
                raise concurrent.futures.CancelledError
            limited = asyncio.wait_for(work(data), timeout_s)
            future = asyncio.run_coroutine_threadsafe(limited, self._loop)
        return future.result(2.0 * timeout_s)

    async def _exchange(self, data: bytes) -> bytes | str:
        connection = self._connection
        if connection is None or connection.state is not State.OPEN:
            connection = await self._connect()
        answer = asyncio.ensure_future(connection.recv())
        await asyncio.sleep(0)  # a frame that arrived before the request is received here
        if answer.done():
            answer.result()
            raise ProtocolError("sent a frame without a request")
        _, reply = await asyncio.gather(connection.send(data), answer)
        return reply

    async def _connect(self) -> ClientConnection:
        key = self._options.api_key
        connection = await connect(
            self._options.url,
            compression=None,
            max_size=None,
            proxy=None,
            additional_headers={"Authorization": f"Api-Key {key}"} if key else None,
            open_timeout=None,
            # openpi's server answers no pings while it infers; a request has its own deadline.
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
        )
        self._connection = connection
        self.metadata = _metadata(await connection.recv())
        return connection

    def _drop(self) -> None:
        """Close the connection without waiting for the server; runs in the loop's thread."""
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None

    async def _shut_down(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
        self._loop.stop()

    def _about(self, what: str) -> str:
        return f"policy server {self._options.url}: {what}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.username is None
        return named and parts.port != 0
    except ValueError:
        return False


def _metadata(frame: bytes | str) -> dict[str, Any]:
    if isinstance(frame, str):
        raise ProtocolError(f"the server failed: {_message_of(frame)}")
    metadata = unpack(frame)
    if not isinstance(metadata, dict):
        raise ProtocolError(f"its first frame is {type(metadata).__name__}, a map expected")
    return metadata


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        hint = "; set PI0_API_KEY" if status in (401, 403) else ""
        return f"refused the connection with HTTP status {status}{hint}"
    if isinstance(error, ConnectionClosed):
        return f"disconnected ({error})"
    if isinstance(error, WebSocketException):
        return f"does not speak the websocket protocol ({error})"
    if isinstance(error, OSError):
        # asyncio's own text for a refused connection does not say "refused".
        number = error.errno or 0
        return f"cannot be reached ({os.strerror(number) if number > 0 else error})"
    return str(error)


def _message_of(text: str) -> str:
    """The last line of a traceback, or the first line of another text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["(empty text)"]
    line = lines[-1] if lines[0].startswith(_TRACEBACK) else lines[0]
    return line[:_LONGEST_REASON]
