"""Conversion of bags in worker processes, with progress; a single bag in this process."""

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
from pi0_ros.dataset.convert.convert_bag import convert_bag
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.recording.errors import RecordingError

_POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionProgress:
    """Progress of one bag: converted seconds and total seconds."""

    bag: Path
    done_s: float
    total_s: float


OnProgress = Callable[[ConversionProgress], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A bag, the fingerprint of its content, and the folder for its staged episode."""

    bag: Bag
    fingerprint: str
    folder: Path


def convert_jobs(
    jobs: Sequence[Job],
    options: ConvertOptions,
    workers: int,
    on_progress: OnProgress,
) -> list[tuple[Path, str]]:
    """Convert in worker processes; return the bags that were refused, with reasons."""
    for job in jobs:
        on_progress(
            ConversionProgress(bag=job.bag.path, done_s=0.0, total_s=job.bag.info.duration_s)
        )
    if workers == 1 or len(jobs) <= 1:
        done = [
            (job.bag.path, _work(job.bag.path, options, job.folder, on_progress)) for job in jobs
        ]
        return [(path, reason) for path, reason in done if reason is not None]
    refused: list[tuple[Path, str]] = []
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    with ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_start_worker, initargs=(reports,)
    ) as pool:
        futures = {
            pool.submit(_work_in_pool, job.bag.path, options, job.folder): job for job in jobs
        }
        try:
            for future in _as_completed(futures, reports, on_progress):
                reason = future.result()
                if reason is not None:
                    refused.append((futures[future].bag.path, reason))
        except BrokenProcessPool as error:
            raise DatasetError(
                "a worker process died, perhaps for lack of memory; try --jobs 1. Converted bags"
                " are kept: run the same command again to continue"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return refused


def _as_completed(
    futures: dict[Future[str | None], Job],
    reports: Any,
    on_progress: OnProgress,
) -> Iterator[Future[str | None]]:
    """The futures as they complete; progress is reported while waiting."""
    left = set(futures)
    while left:
        ended, left = wait(left, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        _forward_reports(reports, on_progress)
        for future in ended:
            whole_s = futures[future].bag.info.duration_s
            on_progress(
                ConversionProgress(bag=futures[future].bag.path, done_s=whole_s, total_s=whole_s)
            )
        yield from ended


def _forward_reports(reports: Any, on_progress: OnProgress) -> None:
    """Forward the progress that the workers reported."""
    while True:
        try:
            on_progress(reports.get_nowait())
        except Empty:
            return


_reports: Any = None


def _start_worker(reports: Any) -> None:
    """In a worker: store the queue for progress, and exit when the parent process exits."""
    global _reports  # noqa: PLW0603 - the only way to hand a queue to a pool's workers
    _reports = reports
    threading.Thread(target=_exit_with_parent, name="exit with parent", daemon=True).start()


def _exit_with_parent() -> None:
    """Exit even if the parent was killed: the next run writes into the same folders."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_in_pool(path: Path, options: ConvertOptions, folder: Path) -> str | None:
    return _work(path, options, folder, _reports.put)


def _work(
    path: Path,
    options: ConvertOptions,
    folder: Path,
    on_progress: OnProgress,
) -> str | None:
    """Convert a bag into its folder; return the reason if it is refused."""
    partial = folder.with_name(folder.name + ".partial")
    try:
        convert_bag(
            Bag.open(path),
            options,
            partial,
            lambda done_s, total_s: on_progress(
                ConversionProgress(bag=path, done_s=done_s, total_s=total_s)
            ),
        )
    except RecordingError as error:
        return str(error)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return None
