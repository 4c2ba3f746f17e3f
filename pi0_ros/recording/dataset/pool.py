"""Several bags at once, in processes of their own, into one dataset; and again where it stopped.

Each bag becomes a staged episode first. Those already staged by an earlier run, and bags
that the dataset's manifest names, are not converted again.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty
from typing import Any

from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.dataset.bags import Bag, fingerprint
from pi0_ros.recording.dataset.convert import convert_bag, objection
from pi0_ros.recording.dataset.errors import DatasetError
from pi0_ros.recording.dataset.info import INFO_PATH, Info
from pi0_ros.recording.dataset.manifest import Manifest
from pi0_ros.recording.dataset.options import ConvertOptions
from pi0_ros.recording.dataset.orphans import remove_orphans
from pi0_ros.recording.dataset.reader import Dataset
from pi0_ros.recording.dataset.staging import StagedEpisode, is_staged, load_staged
from pi0_ros.recording.dataset.writer import STAGING, DatasetWriter
from pi0_ros.recording.errors import RecordingError

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Progress of one bag: seconds of it done and in all."""

    bag: Path
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of the bags: now in the dataset, there before, and refused with reasons."""

    info: Info
    added: tuple[Path, ...]
    present: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class _Job:
    bag: Bag
    fingerprint: str
    folder: Path


def convert_bags(
    paths: Sequence[Path],
    out: Path,
    options: ConvertOptions,
    *,
    jobs: int | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Converted:
    """Convert bags into a new dataset, or append them to one.

    Refused bags do not keep the others out. Raises :class:`DatasetError` if nothing is
    there to be written, or the bags do not fit each other or the dataset.
    """
    options.check()
    existing = Dataset.open(out) if (out / INFO_PATH).is_file() else None
    if existing is not None:
        remove_orphans(existing)
    todo, present, refused = _sort(paths, out, existing, options)
    if todo:
        _check_fit(todo, out, existing, options)
        waiting = [job for job in todo if not is_staged(job.folder)]
        refused += _run(waiting, options, jobs or _cores(), on_step)
    staged = [(job, load_staged(job.folder)) for job in todo if is_staged(job.folder)]
    if not staged:
        if existing is not None and present and not refused:
            return Converted(info=existing.info, added=(), present=tuple(present), refused=())
        lines = [reason for _, reason in refused] or ["no bag to convert"]
        raise DatasetError("\n".join(lines))
    info = _assemble(out, [each for _, each in staged], staged[0][0].bag, existing, options)
    for job, _ in staged:
        shutil.rmtree(job.folder)
    if not any((out / STAGING).iterdir()):
        (out / STAGING).rmdir()
    return Converted(
        info=info,
        added=tuple(job.bag.path for job, _ in staged),
        present=tuple(present),
        refused=tuple(refused),
    )


def _sort(
    paths: Sequence[Path], out: Path, existing: Dataset | None, options: ConvertOptions
) -> tuple[list[_Job], list[Path], list[tuple[Path, str]]]:
    """What is to be converted, what the dataset has already, and what is refused at the door."""
    known = existing.manifest.fingerprints if existing and existing.manifest else frozenset()
    todo: dict[str, _Job] = {}
    present: list[Path] = []
    refused: list[tuple[Path, str]] = []
    for path in paths:
        try:
            bag = Bag.open(path)
        except (RecordingError, ValueError) as error:
            refused.append((path, str(error)))
            continue
        mark = fingerprint(path)
        reason = objection(bag, options)
        if mark in known:
            present.append(path)
        elif reason is not None:
            refused.append((path, f"{path}: {reason}"))
        elif mark not in todo:
            folder = out / STAGING / f"{mark[:16]}-{options.digest()[:8]}"
            todo[mark] = _Job(bag, mark, folder)
    return list(todo.values()), present, refused


def _check_fit(
    todo: Sequence[_Job], out: Path, existing: Dataset | None, options: ConvertOptions
) -> None:
    """All bags are of one robot, which is the dataset's, and made with its options."""
    first = todo[0].bag
    for job in todo[1:]:
        if not same_robot(job.bag.embodiment, first.embodiment):
            raise DatasetError(
                f"{job.bag.path} was recorded with another embodiment than {first.path}"
                f" ({job.bag.info.embodiment}, {first.info.embodiment}, or another version of it);"
                " convert them into datasets of their own"
            )
    if existing is None:
        return
    manifest = existing.manifest
    if manifest is None:
        raise DatasetError(
            f"{out}: has no manifest of this suite; convert into a new dataset and"
            " `pi0 dataset merge` the two"
        )
    if not same_robot(existing.robot(), first.embodiment):
        raise DatasetError(
            f"{first.path} was recorded with embodiment {first.info.embodiment}, {out} holds"
            f" {manifest.embodiment}, or another version of it"
        )
    for name, value in options.describe().items():
        if getattr(manifest, name) != value:
            raise DatasetError(
                f"{out}: was made with {name} {getattr(manifest, name)}, now {name} is {value};"
                f" give --{name} {getattr(manifest, name)}, or another --out"
            )


def same_robot(one: Embodiment, other: Embodiment) -> bool:
    """Whether two embodiments are the same but for where they were read and described."""
    return replace(one, path=Path(), description="") == replace(other, path=Path(), description="")


def _assemble(
    out: Path,
    staged: Sequence[StagedEpisode],
    first: Bag,
    existing: Dataset | None,
    options: ConvertOptions,
) -> Info:
    features = staged[0].features
    if existing is not None:
        info, manifest = existing.info, existing.manifest or Manifest()
    else:
        info = Info(
            fps=round(first.embodiment.rates.chunk_hz),
            features=features,
            robot_type=first.info.embodiment,
        )
        manifest = Manifest(
            embodiment=first.info.embodiment,
            embodiment_yaml=first.info.embodiment_yaml,
            **options.describe(),
        )
    for each in staged:
        for name, feature in info.features.items():
            found = each.features.get(name)
            if found is None or (found.dtype, found.shape) != (feature.dtype, feature.shape):
                what = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
                raise DatasetError(
                    f"{each.part.source.bag}: {name} is {what}, the dataset has"
                    f" {feature.dtype} of shape {feature.shape}; give --size and --depth alike"
                )
    records, tasks = (existing.records, existing.tasks) if existing else ((), ())
    writer = DatasetWriter(out, info, manifest, records=records, tasks=tasks)
    for each in staged:
        writer.add(each.part)
    return writer.publish()


def _run(
    jobs: Sequence[_Job], options: ConvertOptions, workers: int, on_step: Callable[[Step], None]
) -> list[tuple[Path, str]]:
    """Convert in worker processes; the bags that could not be, with reasons."""
    for job in jobs:
        on_step(Step(bag=job.bag.path, done_s=0.0, total_s=job.bag.info.duration_s))
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
    futures: dict[Future[str | None], _Job], steps: Any, on_step: Callable[[Step], None]
) -> Iterator[Future[str | None]]:
    """The futures as they end, with progress reported meanwhile."""
    left = set(futures)
    while left:
        ended, left = wait(left, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
        _report(steps, on_step)
        for future in ended:
            whole_s = futures[future].bag.info.duration_s
            on_step(Step(bag=futures[future].bag.path, done_s=whole_s, total_s=whole_s))
        yield from ended


def _report(steps: Any, on_step: Callable[[Step], None]) -> None:
    """Pass on what the workers have reported."""
    while True:
        try:
            on_step(steps.get_nowait())
        except Empty:
            return


_steps: Any = None


def _begin(steps: Any) -> None:
    """In a worker: remember where to report."""
    global _steps  # noqa: PLW0603 - the only way to hand a queue to a pool's workers
    _steps = steps


def _work_in_pool(path: Path, options: ConvertOptions, folder: Path) -> str | None:
    return _work(path, options, folder, _steps.put)


def _work(
    path: Path, options: ConvertOptions, folder: Path, on_step: Callable[[Step], None]
) -> str | None:
    """Convert a bag into its folder; the reason if it is refused."""
    partial = folder.with_name(folder.name + ".partial")
    try:
        convert_bag(
            Bag.open(path),
            options,
            partial,
            lambda done_s, total_s: on_step(Step(bag=path, done_s=done_s, total_s=total_s)),
        )
    except RecordingError as error:
        return str(error)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
