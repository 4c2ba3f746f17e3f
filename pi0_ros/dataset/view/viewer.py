"""Episodes as a Rerun recording: cameras, states, actions and task changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import ACTION, STATE
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.view.summary import short

_APPLICATION = "pi0 dataset"
_QUALITY = 85


def show_episodes(root: Path, episodes: tuple[int, ...], file: Path | None) -> None:
    """Write episodes to a .rrd file, or open the viewer if ``file`` is None.

    Raises :class:`DatasetError` if rerun-sdk is not installed.
    """
    rr = _rerun()
    dataset = Dataset.open(root)
    for index in episodes:
        dataset.record(index)
    rr.init(_APPLICATION, recording_id=dataset.root.resolve().name, spawn=file is None)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        rr.save(str(file))
    rr.send_blueprint(_blueprint(dataset))
    start_s = 0.0
    for index in episodes:
        _log_episode(rr, dataset, index, start_s)
        start_s += dataset.record(index).length / dataset.fps + 1.0
    rr.disconnect()
    dataset.close()


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise DatasetError(
            "rerun-sdk is not installed: it needs NumPy 2, which a sourced ROS 2 Jazzy cannot"
            " load. Install it in an environment of its own, or look at the page that `pi0"
            " dataset show` writes without --episode"
        ) from error
    return rerun


def _blueprint(dataset: Dataset) -> Any:
    """Cameras at the top; below, one plot for each action and its state."""
    import rerun.blueprint as rrb

    cameras = [rrb.Spatial2DView(origin=f"cameras/{short(key)}") for key in dataset.cameras]
    numbers = [
        rrb.TimeSeriesView(origin="joints", contents=[f"joints/{label}/**"], name=label)
        for label in dataset.info.features[ACTION].labels
    ]
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(*cameras),
            rrb.Grid(*numbers),
            rrb.TextLogView(origin="task"),
            row_shares=[3, 4, 1],
        ),
        collapse_panels=True,
    )


def _log_episode(rr: Any, dataset: Dataset, index: int, start_s: float) -> None:
    """Log one episode; ``start_s`` is its place on the time line."""
    episode = dataset.episode(index)
    count = len(episode)
    times = start_s + np.arange(count) / dataset.fps
    columns = {
        "state": (dataset.info.features[STATE].labels, episode.state),
        "action": (dataset.info.features[ACTION].labels, episode.action),
    }
    for what, (labels, values) in columns.items():
        for label, series in zip(labels, values.T, strict=True):
            rr.send_columns(
                f"joints/{label}/{what}",
                indexes=[rr.TimeColumn("time", duration=times)],
                columns=rr.Scalars.columns(scalars=series.astype(np.float64)),
            )
    for frame, text in episode.marks:
        rr.set_time("time", duration=float(times[frame]))
        rr.log("task", rr.TextLog(f"episode {index}, frame {frame}: {text}"))
    for key in dataset.cameras:
        previous = None
        for frame in range(count):
            pixels = dataset.image(key, index, frame)
            if previous is not None and np.array_equal(pixels, previous):
                continue
            previous = pixels
            rr.set_time("time", duration=float(times[frame]))
            if pixels.ndim == 2:
                rr.log(f"cameras/{short(key)}", rr.DepthImage(pixels, meter=1000.0))
            else:
                image = rr.Image(pixels).compress(jpeg_quality=_QUALITY)
                rr.log(f"cameras/{short(key)}", image)
