"""Making datasets out of datasets: merged, split, without some episodes; statistics again.

Every edit writes a new dataset, whose episodes, frames and tasks are numbered afresh;
videos are copied, never encoded again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pi0_ros.recording.dataset.errors import DatasetError
from pi0_ros.recording.dataset.info import STATS_PATH, Info, write_json
from pi0_ros.recording.dataset.manifest import Manifest
from pi0_ros.recording.dataset.orphans import remove_orphans
from pi0_ros.recording.dataset.pool import same_robot
from pi0_ros.recording.dataset.reader import Dataset
from pi0_ros.recording.dataset.stats import (
    FeatureStats,
    ImageCounter,
    sample_indices,
    stats_to_json,
)
from pi0_ros.recording.dataset.writer import STAGING, DatasetWriter


def merge(sources: Sequence[Path], out: Path) -> Info:
    """All episodes of several datasets in one. Raises :class:`DatasetError` if they differ."""
    datasets = [Dataset.open(source) for source in sources]
    if len(datasets) < 2:
        raise DatasetError("one dataset to merge; name two or more")
    for other in datasets[1:]:
        _check_alike(datasets[0], other)
    picked = [(each, range(len(each.records))) for each in datasets]
    return _write(out, picked, _common_manifest(datasets))


def split(source: Path, parts: Mapping[Path, Sequence[int]]) -> dict[Path, Info]:
    """A new dataset for each set of episodes. Raises :class:`DatasetError` for unknown ones."""
    dataset = Dataset.open(source)
    for episodes in parts.values():
        _check_known(dataset, episodes)
    manifest = replace(dataset.manifest or Manifest(), episodes=())
    return {out: _write(out, [(dataset, each)], manifest) for out, each in parts.items()}


def delete(source: Path, episodes: Sequence[int], out: Path | None = None) -> Info:
    """Leave episodes out, in a new dataset or in place.

    In place, the new one is whole before it takes the old one's name.
    """
    dataset = Dataset.open(source)
    _check_known(dataset, episodes)
    kept = [record.index for record in dataset.records if record.index not in set(episodes)]
    if not kept:
        raise DatasetError(f"{source}: nothing would be left; remove the folder instead")
    manifest = replace(dataset.manifest or Manifest(), episodes=())
    if out is not None:
        return _write(out, [(dataset, kept)], manifest)
    beside = source.with_name(f"{source.name}.new")
    old = source.with_name(f"{source.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    info = _write(beside, [(dataset, kept)], manifest)
    dataset.close()
    os.replace(source, old)
    os.replace(beside, source)
    shutil.rmtree(old)
    return info


def recompute(source: Path) -> dict[str, FeatureStats]:
    """Write meta/stats.json again: true statistics, of images over a sample of every episode."""
    dataset = Dataset.open(source)
    remove_orphans(dataset)
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
    write_json(source / STATS_PATH, stats_to_json(ordered))
    return ordered


def _write(out: Path, picked: Sequence[tuple[Dataset, Sequence[int]]], manifest: Manifest) -> Info:
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} exists and is not empty; give another --out")
    existed = out.exists()
    try:
        first = picked[0][0]
        writer = DatasetWriter(out, first.info, manifest)
        for dataset, episodes in picked:
            for episode in episodes:
                writer.add(dataset.part(episode))
        info = writer.publish()
    except BaseException:
        shutil.rmtree(out / STAGING if existed else out, ignore_errors=True)
        raise
    (out / STAGING).rmdir()
    return info


def _check_known(dataset: Dataset, episodes: Sequence[int]) -> None:
    for episode in episodes:
        dataset.record(episode)
    if not episodes:
        raise DatasetError("no episode named")


def _check_alike(one: Dataset, other: Dataset) -> None:
    """Same rate and same features, or the first difference."""
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


def _common_manifest(datasets: Sequence[Dataset]) -> Manifest:
    """What the manifests agree on. Raises :class:`DatasetError` for different robots."""
    known = [dataset for dataset in datasets if dataset.manifest and dataset.manifest.embodiment]
    if not known:
        return Manifest()
    first = known[0].manifest or Manifest()
    for other in known[1:]:
        if not same_robot(known[0].robot(), other.robot()):
            raise DatasetError(
                f"{other.root} and {known[0].root} were recorded with different embodiments"
            )
        manifest = other.manifest or Manifest()
        if manifest.actions != first.actions:
            raise DatasetError(
                f"actions are {manifest.actions} in {other.root}, {first.actions} in"
                f" {known[0].root}; convert the bags again with one --actions"
            )
    return replace(first, episodes=())
