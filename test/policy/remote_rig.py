"""Servers on localhost, in threads: the suite's own, and a scripted one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from websockets.sync.server import ServerConnection, serve

from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.remote.protocol import pack, unpack
from pi0_ros.policy.remote.server import PolicyServer, ServerOptions
from pi0_ros.policy.types import Chunk, Observation, RemainingActions

#: What a scripted server does with one connection; the socket is closed when it returns.
Script = Callable[[ServerConnection], None]


class Scripted:
    """A policy that answers as the test says, and stores the observations it got."""

    checkpoint_id = "scripted@0"
    trained = True
    can_continue = False

    def __init__(self, embodiment: Embodiment, size: int = 224) -> None:
        self.image_size = size
        self.seen: list[Observation] = []
        self.before_answer: Callable[[], None] = lambda: None
        self._shape = (embodiment.rates.horizon, len(embodiment.action))

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        self.seen.append(observation)
        self.before_answer()
        actions = np.arange(np.prod(self._shape), dtype=np.float32).reshape(self._shape)
        return Chunk(actions=actions, stage_ms=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0))


@contextmanager
def serving(policy: Any, embodiment: Embodiment, **options: Any) -> Iterator[int]:
    """Our server on a free port of localhost; yields the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="policy-server", daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20.0)

    server = PolicyServer(policy, embodiment, ServerOptions(host="127.0.0.1", port=0, **options))
    try:
        yield run(server.start())
    finally:
        run(server.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20.0)
        loop.close()


@contextmanager
def scripted_server(*scripts: Script) -> Iterator[int]:
    """Runs one script per connection, the last one for all that follow; yields the port."""
    pending = list(scripts)

    def converse(connection: ServerConnection) -> None:
        script = pending.pop(0) if len(pending) > 1 else pending[0]
        script(connection)

    server = serve(converse, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=0.1)
    thread = threading.Thread(target=server.serve_forever, name="scripted-server", daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(20.0)


def answering(reply: Any, metadata: Any = None) -> Script:
    """Gives every request the same answer: bytes and text unchanged, anything else packed."""

    def script(connection: ServerConnection) -> None:
        connection.send(pack({} if metadata is None else metadata))
        for request in connection:
            assert isinstance(unpack(request), dict)
            connection.send(reply if isinstance(reply, (bytes, str)) else pack(reply))

    return script


def hanging_up(connection: ServerConnection) -> None:
    """Receives the request and closes the socket without an answer."""
    connection.send(pack({}))
    connection.recv()
    connection.close_socket()
