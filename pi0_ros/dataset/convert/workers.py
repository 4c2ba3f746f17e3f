"""Conversions in processes of their own, with progress; one of them in this process."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from pi0_ros.dataset.convert.bags import Bag
from pi0_ros.dataset.convert.convert import convert_bag
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.recording.errors import RecordingError

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionProgress:
    """Progress of one bag: seconds of it done and in all."""

    bag: Path
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """A bag, the fingerprint of its content, and the folder that its episode goes into."""

    bag: Bag
    fingerprint: str
    folder: Path


def run(
    jobs: Sequence[Job],
    options: ConvertOptions,
    workers: int,
    on_step: Callable[[ConversionProgress], None],
) -> list[tuple[Path, str]]:
    """Convert in worker processes; the bags that could not be, with reasons."""
    for job in jobs:
        on_step(ConversionProgress(bag=job.bag.path, done_s=0.0, total_s=job.bag.info.duration_s))
    if workers == 1 or len(jobs) <= 1:
        done = [(job.bag.path, _work(job.bag.path, options, job.folder, on_step)) for job in jobs]
        return [(path, reason) for path, reason in done if reason is not None]
    refused: list[tuple[Path, str]] = []
    context = multiprocessing.get_context("spawn")
    steps = context.Queue()
    with ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_begin, initargs=(steps,)
    ) as pool:
        futures = {
            pool.submit(_work_in_pool, job.bag.path, options, job.folder): job for job in jobs
        }
        try:
            for future in _finished(futures, steps, on_step):
                reason = future.result()
                if reason is not None:
                    refused.append((futures[future].bag.path, reason))
        except BrokenProcessPool as error:
            raise DatasetError(
                "a worker process died, for want of memory perhaps; try --jobs 1. Bags that are"
                " done are kept: run the same command again to go on"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return refused


def _finished(
    futures: dict[Future[str | None], Job],
    steps: Any,
    on_step: Callable[[ConversionProgress], None],
) -> Iterator[Future[str | None]]:
    """The futures as they end, with progress reported meanwhile."""
    left = set(futures)
    while left:
        ended, left = wait(left, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
        _report(steps, on_step)
        for future in ended:
            whole_s = futures[future].bag.info.duration_s
            on_step(
                ConversionProgress(bag=futures[future].bag.path, done_s=whole_s, total_s=whole_s)
            )
        yield from ended


def _report(steps: Any, on_step: Callable[[ConversionProgress], None]) -> None:
    """Pass on what the workers have reported."""
    while True:
        try:
            on_step(steps.get_nowait())
        except Empty:
            return


_steps: Any = None


def _begin(steps: Any) -> None:
    """In a worker: remember where to report, and end with the process that began it."""
    global _steps  # noqa: PLW0603 - the only way to hand a queue to a pool's workers
    _steps = steps
    threading.Thread(target=_follow, name="follow", daemon=True).start()


def _follow() -> None:
    """A parent that is killed tells nobody, and the next run writes into the same folders."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_in_pool(path: Path, options: ConvertOptions, folder: Path) -> str | None:
    return _work(path, options, folder, _steps.put)


def _work(
    path: Path, options: ConvertOptions, folder: Path, on_step: Callable[[ConversionProgress], None]
) -> str | None:
    """Convert a bag into its folder; the reason if it is refused."""
    partial = folder.with_name(folder.name + ".partial")
    try:
        convert_bag(
            Bag.open(path),
            options,
            partial,
            lambda done_s, total_s: on_step(
                ConversionProgress(bag=path, done_s=done_s, total_s=total_s)
            ),
        )
    except RecordingError as error:
        return str(error)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return None
