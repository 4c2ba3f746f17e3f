"""Conversion of several bags into one dataset, in parallel; an interrupted run can be continued.

Each bag first becomes a staged episode. Bags that an earlier run staged, or that the dataset's
manifest lists, are not converted again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pi0_ros.dataset.convert.bags import Bag, fingerprint
from pi0_ros.dataset.convert.convert_bag import refusal_reason
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.convert.workers import Job, OnProgress, convert_jobs
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.info import INFO_PATH, Info
from pi0_ros.dataset.format.provenance import DatasetProvenance, same_robot
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.format.staging import StagedEpisode, is_staged, load_staged
from pi0_ros.dataset.format.writer import STAGING, DatasetWriter
from pi0_ros.dataset.lock import dataset_lock
from pi0_ros.recording.errors import RecordingError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionResult:
    """The bags that were added, were in the dataset before, or were refused (with reasons)."""

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
    on_progress: OnProgress = lambda progress: None,
) -> ConversionResult:
    """Convert bags into a new dataset, or append them to one.

    The other bags are converted even if some are refused. Raises :class:`DatasetError` if no
    episode can be written, or if the bags do not match each other or the dataset.
    """
    options.check()
    with dataset_lock(out):
        return _convert_bags(paths, out, options, jobs or len(os.sched_getaffinity(0)), on_progress)


def _convert_bags(
    paths: Sequence[Path],
    out: Path,
    options: ConvertOptions,
    jobs: int,
    on_progress: OnProgress,
) -> ConversionResult:
    existing = Dataset.open(out) if (out / INFO_PATH).is_file() else None
    if existing is not None:
        existing.remove_unlisted_files()
    todo, present, refused = _sort(paths, out, existing, options)
    if todo:
        _check_fit(todo, out, existing, options)
        waiting = [job for job in todo if not is_staged(job.folder)]
        refused += convert_jobs(waiting, options, jobs, on_progress)
    staged = [(job, load_staged(job.folder)) for job in todo if is_staged(job.folder)]
    if not staged:
        if existing is not None and present and not refused:
            return ConversionResult(
                info=existing.info, added=(), present=tuple(present), refused=()
            )
        lines = [reason for _, reason in refused] or ["no bag to convert"]
        raise DatasetError("\n".join(lines))
    info = _assemble(out, [each for _, each in staged], staged[0][0].bag, existing, options)
    for job, _ in staged:
        shutil.rmtree(job.folder)
    return ConversionResult(
        info=info,
        added=tuple(job.bag.path for job, _ in staged),
        present=tuple(present),
        refused=tuple(refused),
    )


def _sort(
    paths: Sequence[Path], out: Path, existing: Dataset | None, options: ConvertOptions
) -> tuple[list[Job], list[Path], list[tuple[Path, str]]]:
    """Bags to convert, bags that the dataset has already, and refused bags with reasons."""
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
        digest = fingerprint(path)
        reason = refusal_reason(bag, options)
        if digest in known:
            present.append(path)
            for staged in (out / STAGING).glob(f"{digest[:16]}-*"):  # left by a run that was killed
                shutil.rmtree(staged)
        elif reason is not None:
            refused.append((path, f"{path}: {reason}"))
        elif digest not in todo:
            folder = out / STAGING / f"{digest[:16]}-{options.digest()[:8]}"
            todo[digest] = Job(bag, digest, folder)
    return list(todo.values()), present, refused


def _check_fit(
    todo: Sequence[Job], out: Path, existing: Dataset | None, options: ConvertOptions
) -> None:
    """Raise unless all bags and the dataset have one embodiment and the same options."""
    first = todo[0].bag
    for job in todo[1:]:
        if not same_robot(job.bag.embodiment, first.embodiment):
            raise DatasetError(
                f"{job.bag.path} was recorded with another embodiment than {first.path}"
                f" ({job.bag.info.embodiment}, {first.info.embodiment}, or another version of it);"
                " convert them into separate datasets"
            )
    if existing is None:
        return
    manifest = existing.manifest
    if manifest is None:
        raise DatasetError(
            f"{out}: has no meta/pi0_manifest.json; convert into a new dataset and"
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
                f"{each.data.source.bag}: {name} is not in the dataset; give"
                " --size and --depth alike"
            )
        for name, feature in info.features.items():
            found = each.features.get(name)
            if found is None or (found.dtype, found.shape) != (feature.dtype, feature.shape):
                what = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
                raise DatasetError(
                    f"{each.data.source.bag}: {name} is {what}, the dataset has"
                    f" {feature.dtype} of shape {feature.shape}; give --size and --depth alike"
                )
    records, tasks = (existing.records, existing.tasks) if existing else ((), ())
    writer = DatasetWriter(out, info, manifest, records=records, tasks=tasks)
    for each in staged:
        writer.add(each.data)
    return writer.publish()
