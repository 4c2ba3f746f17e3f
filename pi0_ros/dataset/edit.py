"""Editing of datasets: merge, split, delete episodes, recompute statistics.

Each edit but the last writes a new dataset and renumbers episodes, frames and tasks. Video packets
are copied and not re-encoded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.info import STATS_PATH, Info, read_info, write_json
from pi0_ros.dataset.format.provenance import DatasetProvenance, same_robot
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.format.stats import (
    FeatureStats,
    ImageCounter,
    sample_indices,
    stats_to_json,
)
from pi0_ros.dataset.format.writer import STAGING, DatasetWriter
from pi0_ros.dataset.lock import dataset_lock


def merge(sources: Sequence[Path], out: Path) -> Info:
    """Write all episodes of several datasets into one. Raises :class:`DatasetError`."""
    datasets = [Dataset.open(source) for source in sources]
    if len(datasets) < 2:
        raise DatasetError("only one dataset to merge; give two or more")
    for other in datasets[1:]:
        _check_alike(datasets[0], other)
    picked = [(each, range(len(each.records))) for each in datasets]
    return _write(out, picked, _common_manifest(datasets))


def split(source: Path, parts: Mapping[Path, Sequence[int]]) -> dict[Path, Info]:
    """Write a new dataset for each set of episodes. Raises :class:`DatasetError`."""
    dataset = Dataset.open(source)
    for out, episodes in parts.items():
        _check_known(dataset, episodes)
        _check_free(out)
    manifest = replace(dataset.manifest or DatasetProvenance(), episodes=())
    return {out: _write(out, [(dataset, each)], manifest) for out, each in parts.items()}


def delete(source: Path, episodes: Sequence[int], out: Path | None = None) -> Info:
    """Delete episodes, in place or into a new dataset.

    In place, the new dataset replaces the old one only when it is complete; other files in the
    folder stay. The bags of deleted episodes are not converted into this dataset again.
    """
    if out is not None:
        return _without(source, episodes, out)
    source = source.expanduser().resolve()
    work = source.with_name(f".{source.name}.delete")
    if not source.exists():
        _finish(source, work)
    read_info(source)
    with dataset_lock(source):
        _finish(source, work)
        try:
            info = _without(source, episodes, work / _NEW)
            os.replace(source, work / _OLD)
            os.replace(work / _NEW, source)
        finally:
            _finish(source, work)
    return info


def _without(source: Path, episodes: Sequence[int], out: Path) -> Info:
    dataset = Dataset.open(source)
    _check_known(dataset, episodes)
    kept = [record.index for record in dataset.records if record.index not in set(episodes)]
    if not kept:
        raise DatasetError(f"{source}: no episode would remain; remove the folder instead")
    manifest = dataset.manifest or DatasetProvenance()
    gone = (dataset.source(index).fingerprint for index in episodes)
    deleted = dict.fromkeys((*manifest.deleted, *filter(None, gone)))
    try:
        return _write(
            out, [(dataset, kept)], replace(manifest, episodes=(), deleted=tuple(deleted))
        )
    finally:
        dataset.close()


#: Subfolders of the work folder beside a dataset whose episodes are deleted.
_NEW, _OLD = "new", "old"
#: Entries of a dataset's folder that an edit rewrites or makes out of date.
_OURS = ("data", "videos", "meta", "report", STAGING)


def _finish(source: Path, work: Path) -> None:
    """Complete an interrupted edit in place, or undo it."""
    old = work / _OLD
    if old.is_dir() and not source.exists():
        os.replace(old, source)
    for path in old.iterdir() if old.is_dir() else ():
        if path.name not in _OURS and not (source / path.name).exists():
            os.replace(path, source / path.name)
    shutil.rmtree(work, ignore_errors=True)


def recompute(source: Path) -> dict[str, FeatureStats]:
    """Recompute meta/stats.json: exact for numbers, from a sample of each episode for images."""
    dataset = Dataset.open(source)
    with dataset_lock(dataset.root):
        dataset.remove_unlisted_files()
        return _recompute(dataset)


def _recompute(dataset: Dataset) -> dict[str, FeatureStats]:
    found = dataset.number_stats()
    for key in dataset.cameras:
        if dataset.info.features[key].shape[-1] != 3:
            continue
        counter = ImageCounter()
        for record in dataset.records:
            for frame in sample_indices(record.length):
                counter.add(dataset.image(key, record.index, frame))
        if (stats := counter.stats()) is not None:
            found[key] = stats
    ordered = {name: found[name] for name in dataset.info.features if name in found}
    dataset.close()
    write_json(dataset.root / STATS_PATH, stats_to_json(ordered))
    return ordered


def _write(
    out: Path, picked: Sequence[tuple[Dataset, Sequence[int]]], manifest: DatasetProvenance
) -> Info:
    _check_free(out)
    existed = out.exists()
    try:
        first = picked[0][0]
        writer = DatasetWriter(out, first.info, manifest)
        for dataset, episodes in picked:
            for episode in episodes:
                writer.add(dataset.episode_data(episode))
        info = writer.publish()
    except BaseException:
        shutil.rmtree(out / STAGING if existed else out, ignore_errors=True)
        raise
    (out / STAGING).rmdir()
    return info


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists and is not an empty folder; give another --out")


def _check_known(dataset: Dataset, episodes: Sequence[int]) -> None:
    for episode in episodes:
        dataset.record(episode)
    if not episodes:
        raise DatasetError("no episode given")


def _check_alike(one: Dataset, other: Dataset) -> None:
    """Raise :class:`DatasetError` unless both have the same rate and features."""
    if one.fps != other.fps:
        raise DatasetError(f"{other.root} has {other.fps} fps, {one.root} has {one.fps}")
    ours, theirs = one.info.features, other.info.features
    for name in sorted(ours.keys() ^ theirs.keys()):
        where = one.root if name in ours else other.root
        raise DatasetError(f"only {where} has the feature {name}")
    for name, feature in ours.items():
        found = theirs[name]
        for what in ("dtype", "shape", "labels"):
            if getattr(feature, what) != getattr(found, what):
                raise DatasetError(
                    f"{name}: {what} is {getattr(found, what)} in {other.root},"
                    f" {getattr(feature, what)} in {one.root}"
                )


def _common_manifest(datasets: Sequence[Dataset]) -> DatasetProvenance:
    """The common manifest, without episodes. Raises :class:`DatasetError` if the robots differ."""
    known = [dataset for dataset in datasets if dataset.manifest and dataset.manifest.embodiment]
    if not known:
        return DatasetProvenance()
    first = known[0].manifest or DatasetProvenance()
    for other in known[1:]:
        if not same_robot(known[0].robot(), other.robot()):
            raise DatasetError(
                f"{other.root} and {known[0].root} were recorded with different embodiments"
            )
        manifest = other.manifest or DatasetProvenance()
        if manifest.actions != first.actions:
            raise DatasetError(
                f"actions are {manifest.actions} in {other.root}, {first.actions} in"
                f" {known[0].root}; convert the bags again with one --actions"
            )
    deleted = [mark for each in known if each.manifest for mark in each.manifest.deleted]
    return replace(first, episodes=(), deleted=tuple(dict.fromkeys(deleted)))
