"""Several bags at once, in processes of their own, into one dataset; and again where it stopped.

Each bag becomes a staged episode first. Those already staged by an earlier run, and bags
that the dataset's manifest names, are not converted again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pi0_ros.dataset.convert.bags import Bag, fingerprint
from pi0_ros.dataset.convert.convert import objection
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.convert.workers import ConversionProgress, Job, run
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.info import INFO_PATH, Info
from pi0_ros.dataset.format.provenance import DatasetProvenance
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.format.staging import StagedEpisode, is_staged, load_staged
from pi0_ros.dataset.format.unlisted_files import remove_unlisted_files
from pi0_ros.dataset.format.writer import STAGING, DatasetWriter
from pi0_ros.dataset.lock import dataset_lock
from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.errors import RecordingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of the bags: now in the dataset, there before, and refused with reasons."""

    info: Info
    added: tuple[Path, ...]
    present: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]


def convert_bags(
    paths: Sequence[Path],
    out: Path,
    options: ConvertOptions,
    *,
    jobs: int | None = None,
    on_step: Callable[[ConversionProgress], None] = lambda step: None,
) -> Converted:
    """Convert bags into a new dataset, or append them to one.

    Refused bags do not keep the others out. Raises :class:`DatasetError` if nothing is
    there to be written, or the bags do not fit each other or the dataset.
    """
    options.check()
    with dataset_lock(out):
        return _convert_bags(paths, out, options, jobs or _cores(), on_step)


def _convert_bags(
    paths: Sequence[Path],
    out: Path,
    options: ConvertOptions,
    jobs: int,
    on_step: Callable[[ConversionProgress], None],
) -> Converted:
    existing = Dataset.open(out) if (out / INFO_PATH).is_file() else None
    if existing is not None:
        remove_unlisted_files(existing)
    todo, present, refused = _sort(paths, out, existing, options)
    if todo:
        _check_fit(todo, out, existing, options)
        waiting = [job for job in todo if not is_staged(job.folder)]
        refused += run(waiting, options, jobs, on_step)
    staged = [(job, load_staged(job.folder)) for job in todo if is_staged(job.folder)]
    if not staged:
        if existing is not None and present and not refused:
            return Converted(info=existing.info, added=(), present=tuple(present), refused=())
        lines = [reason for _, reason in refused] or ["no bag to convert"]
        raise DatasetError("\n".join(lines))
    info = _assemble(out, [each for _, each in staged], staged[0][0].bag, existing, options)
    for job, _ in staged:
        shutil.rmtree(job.folder)
    return Converted(
        info=info,
        added=tuple(job.bag.path for job, _ in staged),
        present=tuple(present),
        refused=tuple(refused),
    )


def _sort(
    paths: Sequence[Path], out: Path, existing: Dataset | None, options: ConvertOptions
) -> tuple[list[Job], list[Path], list[tuple[Path, str]]]:
    """What is to be converted, what the dataset has already, and what is refused at the door."""
    known = existing.manifest.fingerprints if existing and existing.manifest else frozenset()
    todo: dict[str, Job] = {}
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
            for left in (out / STAGING).glob(f"{mark[:16]}-*"):  # of a run killed at its very end
                shutil.rmtree(left)
        elif reason is not None:
            refused.append((path, f"{path}: {reason}"))
        elif mark not in todo:
            folder = out / STAGING / f"{mark[:16]}-{options.digest()[:8]}"
            todo[mark] = Job(bag, mark, folder)
    return list(todo.values()), present, refused


def _check_fit(
    todo: Sequence[Job], out: Path, existing: Dataset | None, options: ConvertOptions
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
        info, manifest = existing.info, existing.manifest or DatasetProvenance()
    else:
        info = Info(
            fps=round(first.embodiment.rates.chunk_hz),
            features=features,
            robot_type=first.info.embodiment,
        )
        manifest = DatasetProvenance(
            embodiment=first.info.embodiment,
            embodiment_yaml=first.info.embodiment_yaml,
            **options.describe(),
        )
    for each in staged:
        for name in each.features.keys() - info.features.keys():
            raise DatasetError(
                f"{each.part.source.bag}: {name} is not in the dataset; give"
                " --size and --depth alike"
            )
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


def _cores() -> int:
    return len(os.sched_getaffinity(0))
