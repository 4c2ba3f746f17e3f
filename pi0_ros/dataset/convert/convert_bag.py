"""Conversion of one bag to one episode, staged in a folder.

The messages pass through :class:`pi0_ros.sync.ObservationBuilder`, the same code that camera_sync
runs, with their arrival times as the clock. The observations are therefore those that the policy
would see.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi0_ros.dataset.convert.bags import Bag, fingerprint
from pi0_ros.dataset.convert.frame_builder import BuiltFrames, FrameBuilder
from pi0_ros.dataset.convert.image_writers import PngWriter
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import (
    ACTION,
    STATE,
    Feature,
    depth_feature,
    depth_key,
    robot_features,
    schema,
    vector_column,
)
from pi0_ros.dataset.format.provenance import EpisodeSource, Mark
from pi0_ros.dataset.format.staging import stage
from pi0_ros.dataset.format.stats import FeatureStats
from pi0_ros.recording.episode import Outcome
from pi0_ros.stamps import NS_PER_S

#: Called with the converted seconds of the bag and its total seconds.
Progress = Callable[[float, float], None]


def refusal_reason(bag: Bag, options: ConvertOptions) -> str | None:
    """Why a bag is not converted, or None; the text names the option that accepts it."""
    info = bag.info
    if info.outcome is Outcome.FAILED and not options.failed:
        return "the operator marked it as failed (--include-failed takes it)"
    if options.doubtful or info.accepted:
        return None
    said = "; ".join(info.problems) or info.reason or "it was not checked"
    return f"the quality gate does not accept it: {said} (--accept-doubtful takes it)"


def convert_bag(bag: Bag, options: ConvertOptions, folder: Path, progress: Progress) -> None:
    """Write a bag's episode into ``folder``. Raises :class:`DatasetError` if it is refused."""
    reason = refusal_reason(bag, options)
    if reason is not None:
        raise DatasetError(f"{bag.path}: {reason}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        builder = FrameBuilder(bag, options, folder)
        try:
            _convert(bag, options, folder, builder, progress)
        except BaseException:
            builder.abandon()
            raise
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, DatasetError) and str(bag.path) not in str(error):
            raise DatasetError(f"{bag.path}: {error}") from error
        raise


def _convert(
    bag: Bag, options: ConvertOptions, folder: Path, builder: FrameBuilder, progress: Progress
) -> None:
    start_ns, total_s = bag.info.start_ns, bag.info.duration_s
    found = builder.run(lambda log_ns: progress((log_ns - start_ns) / NS_PER_S, total_s))
    _check_gaps(bag, options, found)
    builder.close()
    features = _features(bag, options, found, builder.fps)
    tasks = tuple(dict.fromkeys(found.tasks))
    stage(
        folder,
        table=_table(features, found, builder, [tasks.index(text) for text in found.tasks]),
        fps=builder.fps,
        tasks=tasks,
        features=features,
        stats=_image_stats(builder),
        source=_source(bag, found),
    )
    progress(total_s, total_s)


def _check_gaps(bag: Bag, options: ConvertOptions, found: BuiltFrames) -> None:
    """Refuse frames with an observation that is too old for a policy."""
    allowed_s = bag.embodiment.sync.observation_timeout_s
    old = np.flatnonzero(found.ages_ns > allowed_s * NS_PER_S)
    if len(old) and not options.doubtful:
        at_s = (found.times_ns[old[0]] - found.times_ns[0]) / NS_PER_S
        raise DatasetError(
            f"no aligned observation for {found.ages_ns.max() / NS_PER_S:.2f} s, {at_s:.1f} s into"
            f" the episode; at most {allowed_s:g} s allowed (--accept-doubtful takes it)"
        )


def _features(
    bag: Bag, options: ConvertOptions, found: BuiltFrames, fps: int
) -> dict[str, Feature]:
    codec = options.video()
    features = robot_features(bag.embodiment, found.sizes, codec, fps)
    for name, _ in options.depth:
        key = depth_key(name)
        features[key] = depth_feature(name, *found.sizes[key])
    return features


def _table(
    features: dict[str, Feature], found: BuiltFrames, builder: FrameBuilder, task_index: list[int]
) -> pa.Table:
    frames = np.arange(len(found.times_ns), dtype=np.int64)
    numbers: dict[str, NDArray[np.generic]] = {
        STATE: found.states.astype(np.float32),
        ACTION: found.actions.astype(np.float32),
        "timestamp": (frames / builder.fps).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.zeros_like(frames),
        "index": frames,
        "task_index": np.array(task_index, dtype=np.int64),
    }
    columns = []
    for column in (wanted := schema(features)):
        writer = builder.writers.get(column.name)
        if isinstance(writer, PngWriter):
            columns.append(writer.column())
        else:
            columns.append(vector_column(numbers[column.name], column.type))
    return pa.table(columns, schema=wanted)


def _image_stats(builder: FrameBuilder) -> dict[str, FeatureStats]:
    counted = {key: counter.stats() for key, counter in builder.counters.items()}
    return {key: stats for key, stats in counted.items() if stats is not None}


def _source(bag: Bag, found: BuiltFrames) -> EpisodeSource:
    info, texts = bag.info, found.tasks
    changed = [i for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]
    return EpisodeSource(
        bag=bag.path.name,
        fingerprint=fingerprint(bag.path),
        task=info.task,
        marks=tuple(Mark(frame=i, text=texts[i]) for i in changed),
        outcome=info.outcome.value,
        notes=info.notes,
        start_ns=int(found.times_ns[0]),
        accepted=info.accepted,
        problems=info.problems,
        software=dict(info.software),
    )
