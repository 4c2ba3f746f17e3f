"""Read the episode description of a bag, which is a folder or a single .mcap."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader

from pi0_ros.embodiment import Embodiment, load
from pi0_ros.recording.episode import RECORD_NAME, EpisodeInfo
from pi0_ros.recording.errors import RecordingError


def read_episode(path: Path) -> EpisodeInfo:
    """The episode description of a bag. Raises :class:`RecordingError`.

    ``path`` is the folder of a bag, or its .mcap.
    """
    if path.is_file():
        return _from_mcap(path)
    metadata = path / "metadata.yaml"
    if not metadata.is_file():
        hint = "; it was not finished: `pi0 bag repair` it" if list(path.glob("*.mcap")) else ""
        raise RecordingError(f"{path}: not a bag: it has no metadata.yaml{hint}")
    try:
        loaded: Any = yaml.safe_load(metadata.read_text(encoding="utf-8"))
        custom = dict(loaded["rosbag2_bagfile_information"].get("custom_data") or {})
    except (
        *(OSError, yaml.YAMLError),
        *(AttributeError, KeyError, TypeError, ValueError),
    ) as error:
        raise RecordingError(
            f"{metadata}: cannot be read: {error}; `pi0 bag repair` makes it again from the .mcap"
        ) from error
    return EpisodeInfo.from_map(custom, str(path))


def embodiment_of(info: EpisodeInfo, where: str) -> Embodiment:
    """The embodiment at the time of the recording, from the text in the bag.

    ``where`` becomes its path. Raises :class:`~pi0_ros.embodiment.EmbodimentError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{info.embodiment}.yaml"
        path.write_text(info.embodiment_yaml, encoding="utf-8")
        return replace(load(path), path=Path(where))


def mcap_of(path: Path) -> Path:
    """The .mcap of a bag. Raises :class:`RecordingError` unless there is exactly one."""
    if path.is_file():
        return path
    found = sorted(path.glob("*.mcap"))
    if len(found) != 1:
        raise RecordingError(f"{path}: {len(found)} .mcap files in it; a bag of ours has one")
    return found[0]


def _from_mcap(path: Path) -> EpisodeInfo:
    last: dict[str, str] = {}
    try:
        with path.open("rb") as stream:
            for record in make_reader(stream).iter_metadata():
                if record.name == RECORD_NAME:
                    last = record.metadata
    except (OSError, McapError, ValueError, AssertionError, struct.error) as error:
        raise RecordingError(
            f"{path}: cannot be read: {str(error) or type(error).__name__}; "
            "`pi0 bag repair` it if its recorder was killed"
        ) from error
    return EpisodeInfo.from_map(last, str(path))
