"""A server that offers a policy to any openpi client, by the openpi websocket protocol.

The event loop only moves bytes and answers ``/healthz``. One worker thread decodes and infers, one
request after the other, for all connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.remote.layouts import WireFormat
from pi0_ros.policy.remote.protocol import ProtocolError, pack, unpack

#: Stages of a chunk in which the network runs.
_MODEL_STAGES = frozenset({"vision", "prefix", "denoise"})
_CLOSE_TIMEOUT_S = 2.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """``port`` 0 takes a free port. ``api_key`` "" admits every client. ``prompt`` is for clients
    that send none.
    """

    host: str = "0.0.0.0"
    port: int = 8000
    api_key: str = ""
    prompt: str = ""


class PolicyServer:
    """Serves one policy for one embodiment. Use its coroutines in one event loop."""

    def __init__(self, policy: Policy, embodiment: Embodiment, options: ServerOptions) -> None:
        self._policy = policy
        self._embodiment = embodiment
        self._options = options
        self._wire = WireFormat(embodiment)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._server: Server | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The first message to a client; openpi clients only read ``reset_pose``."""
        rates = self._embodiment.rates
        return {
            "embodiment": self._embodiment.name,
            "checkpoint_id": self._policy.checkpoint_id,
            "trained": self._policy.trained,
            "action_names": list(self._embodiment.action_names),
            "state_names": list(self._embodiment.state_names),
            "cameras": [camera.name for camera in self._embodiment.cameras],
            "horizon": rates.horizon,
            "step_duration_s": rates.step_duration_s,
        }

    async def start(self) -> int:
        """Listen and return the port. Raises :class:`PolicyError` if the address is not free."""
        host, port = self._options.host, self._options.port
        try:
            self._server = await serve(
                self._converse,
                host,
                port,
                compression=None,
                max_size=None,
                process_request=self._admit,
                close_timeout=_CLOSE_TIMEOUT_S,
            )
        except OSError as error:
            raise PolicyError(
                f"cannot listen on {host}:{port} ({error.strerror}); give another --host or --port"
            ) from error
        bound: int = next(iter(self._server.sockets)).getsockname()[1]
        return bound

    async def close(self) -> None:
        """Close every connection; the result of a running inference is not sent."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a health check or a wrong key; None lets the websocket handshake continue."""
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        key = self._options.api_key
        given = request.headers.get("Authorization", "")
        if key and not hmac.compare_digest(given.encode(), f"Api-Key {key}".encode()):
            _logger.warning("%s gave no valid Api-Key", connection.remote_address)
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, "send the header Authorization: Api-Key <key>\n"
            )
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        """Serve one client, from its metadata to its last answer."""
        client = connection.remote_address
        _logger.info("%s connected", client)
        try:
            await connection.send(pack(self.metadata))
            await self._answer_requests(connection)
        except ConnectionClosed:
            _logger.info("%s disconnected", client)
        except Exception as error:  # the protocol requires to send every error and to close
            _logger.exception("%s: request failed", client)
            with contextlib.suppress(ConnectionClosed):
                await connection.send("".join(traceback.format_exception(error)))
            await connection.close(
                CloseCode.INTERNAL_ERROR,
                "Internal server error. Traceback included in previous frame.",
            )

    async def _answer_requests(self, connection: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        total_ms: float | None = None
        async for request in connection:
            began_s = time.perf_counter()
            response = await loop.run_in_executor(self._worker, self._answer, request, total_ms)
            await connection.send(response)
            total_ms = 1e3 * (time.perf_counter() - began_s)

    def _answer(self, request: bytes | str, previous_total_ms: float | None) -> bytes:
        """Compute the answer to one request; runs in the worker thread."""
        if isinstance(request, str):
            raise ProtocolError("a text frame came; observations are binary msgpack frames")
        began_s = time.perf_counter()
        size = self._policy.image_size
        observation = self._wire.decode(unpack(request), size, self._options.prompt)
        chunk = self._policy.infer(observation)
        stages = zip(chunk.stage_names, chunk.stage_ms, strict=True)
        model_ms = sum(duration for name, duration in stages if name in _MODEL_STAGES)
        timing = {"infer_ms": 1e3 * (time.perf_counter() - began_s)}
        if previous_total_ms is not None:
            timing["prev_total_ms"] = previous_total_ms
        return pack(
            {
                "actions": chunk.actions,
                "policy_timing": {"infer_ms": model_ms},
                "server_timing": timing,
            }
        )
