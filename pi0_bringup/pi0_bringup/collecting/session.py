"""The whole collection: start the graph, collect every episode, stop the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pi0_bringup.collecting.graph import EMBODIMENT, SCENE, CollectOptions, processes
from pi0_bringup.collecting.progress import Progress
from pi0_bringup.private_graph import PrivateGraph, make_folder, private_graph
from pi0_ros.embodiment import load

if TYPE_CHECKING:
    from pi0_bringup.collecting.collector import Demonstration

# A renderer and four nodes start: this takes seconds on an idle machine, many on a busy one.
_START_TIMEOUT_S = 90.0


def collect(options: CollectOptions, progress: Progress) -> list[Demonstration]:
    """Collect every episode; fewer if a stop was requested.

    Raises :class:`~pi0_bringup.private_graph.GraphRunError` if the graph does not start, a
    process dies, or an episode cannot be recorded. The episodes recorded until then stay, and
    every process has ended.
    """
    make_folder(options.out)
    with private_graph(processes(options), options.out) as graph:
        return _collect(options, graph, progress)


def _collect(
    options: CollectOptions, graph: PrivateGraph, progress: Progress
) -> list[Demonstration]:
    # Imported while the processes start.
    from pi0_bringup.collecting.collector import DemonstrationCollector, EpisodeError
    from pi0_bringup.simulation.scene import open_scene

    task = open_scene(load(EMBODIMENT), SCENE).task
    collector = graph.add(DemonstrationCollector(task, graph.wait, graph.executor))
    graph.meanwhile = lambda: progress.tell(collector.activity)
    instruction = options.instruction or task.instruction

    def attempt(number: int) -> Demonstration:
        seed = options.first_seed + number - 1
        for attempts in range(1, options.max_attempts + 1):
            try:
                return collector.demonstrate(number, seed, instruction)
            except EpisodeError as error:
                progress.say(f"seed {seed}, attempt {attempts}: {error}")
                last = error
        raise last

    collected: list[Demonstration] = []
    try:
        collector.connect(_START_TIMEOUT_S)
        while len(collected) < options.episodes and not graph.stop_requested:
            try:
                collected.append(attempt(len(collected) + 1))
            except KeyboardInterrupt:
                break
            progress.kept(collected[-1])
    except EpisodeError as error:
        raise graph.error(str(error)) from error
    return collected
