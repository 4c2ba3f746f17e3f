"""The whole collection: start the graph, direct every episode, stop the graph."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pi0_bringup.collecting.graph import EMBODIMENT, SCENE, CollectOptions, processes
from pi0_bringup.collecting.progress import Progress
from pi0_bringup.demo.domain import private_domain
from pi0_bringup.demo.log import Log, make_folder
from pi0_ros.embodiment import load
from pi0_ros.graph.supervisor import Supervisor

if TYPE_CHECKING:
    from pi0_bringup.collecting.director import Demonstration, Director

# A renderer and four nodes start: seconds on an idle machine, many on a busy one.
_START_TIMEOUT_S = 90.0
_SLICE_S = 0.05


class CollectionError(RuntimeError):
    """Why the collection ended before its time."""


def collect(options: CollectOptions, progress: Progress) -> list[Demonstration]:
    """Collect every episode; fewer if told to stop.

    Raises :class:`CollectionError` if the graph does not start, a process dies, or an
    episode cannot be recorded; what was kept until then stays. Every process has ended.
    """
    make_folder(options.out)
    with private_domain() as environment:
        os.environ.update(environment)
        graph = processes(options)
        # The director uses the transport profile of the nodes it talks to.
        os.environ.update(graph[0].environment)
        with Log(options.out / "log.txt") as log:
            return _Session(options, Supervisor(graph, log), log, progress).run()


class _Session:
    def __init__(
        self, options: CollectOptions, graph: Supervisor, log: Log, progress: Progress
    ) -> None:
        self._options = options
        self._graph = graph
        self._log = log
        self._progress = progress
        self._director: Director | None = None

    def run(self) -> list[Demonstration]:
        with self._graph:
            self._graph.start()
            found = self._direct()
        if self._graph.unclean:
            raise self._error("; ".join(self._graph.unclean))
        return found

    def _direct(self) -> list[Demonstration]:
        # Imported while the nodes start.
        import rclpy
        from rclpy.experimental import EventsExecutor
        from rclpy.signals import SignalHandlerOptions

        from pi0_bringup.collecting.director import CollectError, Director
        from pi0_bringup.simulation.scene import open_scene

        task = open_scene(load(EMBODIMENT), SCENE).task
        self._instruction = self._options.instruction or task.instruction

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        executor = EventsExecutor()
        self._spin_once = executor.spin_once
        director = self._director = Director(task, self._wait, executor)
        executor.add_node(director)
        try:
            director.connect(_START_TIMEOUT_S)
            return self._episodes(director)
        except CollectError as error:
            raise self._error(str(error)) from error
        finally:
            executor.remove_node(director)
            director.destroy_node()
            rclpy.try_shutdown()

    def _episodes(self, director: Director) -> list[Demonstration]:
        found: list[Demonstration] = []
        for number in range(1, self._options.episodes + 1):
            if self._graph.stop_requested:
                break
            try:
                found.append(self._attempt(director, number))
            except KeyboardInterrupt:
                break
            self._progress.kept(found[-1])
        return found

    def _attempt(self, director: Director, number: int) -> Demonstration:
        from pi0_bringup.collecting.director import CollectError

        seed = self._options.first_seed + number - 1
        for attempt in range(1, self._options.max_attempts + 1):
            try:
                return director.demonstrate(number, seed, self._instruction)
            except CollectError as error:
                self._progress.say(f"seed {seed}, attempt {attempt}: {error}")
                last = error
        raise last

    def _wait(self, condition: Callable[[], object], timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self._graph.failure is not None:
                raise self._error(self._graph.failure)
            if self._graph.stop_requested:
                raise KeyboardInterrupt
            if time.monotonic() > deadline_s:
                return False
            slice_end_s = time.monotonic() + _SLICE_S
            while not condition() and (left_s := slice_end_s - time.monotonic()) > 0.0:
                self._spin_once(timeout_sec=left_s)
            self._graph.step(0.0)
            if self._director is not None:
                self._progress.tell(self._director.doing)
        return True

    def _error(self, reason: str) -> CollectionError:
        return CollectionError(f"{reason}\n{self._log.tail()}")
