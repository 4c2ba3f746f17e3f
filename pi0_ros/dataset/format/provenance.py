"""meta/pi0_manifest.json: the source of each episode, and the robot that recorded it.

The file is optional, and LeRobot ignores it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.info import MANIFEST_PATH, read_json, write_json
from pi0_ros.embodiment import Embodiment, load

#: Version of the file; a reader refuses a newer one.
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The instruction ``text``, in force from frame ``frame`` of the episode."""

    frame: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSource:
    """The source of one episode.

    ``bag``: name of the bag's folder; ``fingerprint``: hash of its content, see
    :func:`~pi0_ros.dataset.convert.bags.fingerprint`. ``task``: the task of the whole episode;
    ``marks``: the changes of the instruction, which give the tasks of the frames. ``start_ns``:
    time of frame 0 on the ROS clock. ``problems``: findings of the quality gate.
    """

    bag: str = ""
    fingerprint: str = ""
    task: str = ""
    marks: tuple[Mark, ...] = ()
    outcome: str = "unmarked"
    notes: str = ""
    start_ns: int = 0
    accepted: bool = True
    problems: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> EpisodeSource:
        """Read an entry of the file."""
        known = {name: entry[name] for name in cls.__dataclass_fields__ if name in entry}
        marks = tuple(Mark(**mark) for mark in known.pop("marks", ()))
        problems = tuple(known.pop("problems", ()))
        return cls(marks=marks, problems=problems, **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetProvenance:
    """One :class:`EpisodeSource` for each episode, and the options of their conversion.

    ``size``: side of the letterboxed images [pixels], 0 for the camera's size. ``actions``: as in
    :class:`~pi0_ros.dataset.convert.options.ConvertOptions`. Names are empty if another program
    made the dataset. ``deleted``: fingerprints of bags whose episodes were deleted.
    """

    embodiment: str = ""
    embodiment_yaml: str = ""
    size: int = 0
    actions: str = ""
    codec: str = ""
    episodes: tuple[EpisodeSource, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> frozenset[str]:
        """Fingerprints of bags to skip: they are in the dataset or were deleted from it."""
        known = [source.fingerprint for source in self.episodes]
        return frozenset(mark for mark in (*known, *self.deleted) if mark)

    def robot(self, where: str) -> Embodiment:
        """The embodiment of the dataset. Raises :class:`DatasetError` if the manifest has none."""
        if not self.embodiment_yaml:
            raise DatasetError(
                f"{where}: its manifest names no embodiment: it was not made by `pi0 dataset"
                " convert`; give --embodiment"
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.embodiment}.yaml"
            path.write_text(self.embodiment_yaml, encoding="utf-8")
            return replace(load(path), path=Path(where) / MANIFEST_PATH)


def read_provenance(root: Path) -> DatasetProvenance | None:
    """Read the manifest of a dataset; None without the file. Raises :class:`DatasetError`."""
    path = root / MANIFEST_PATH
    if not path.is_file():
        return None
    entries = read_json(path)
    try:
        if int(entries["version"]) > VERSION:
            raise DatasetError(
                f"{path}: written as version {entries['version']}, this release reads up to"
                f" {VERSION}; update the package"
            )
        known = {n: entries[n] for n in DatasetProvenance.__dataclass_fields__ if n in entries}
        episodes = tuple(EpisodeSource.from_json(each) for each in known.pop("episodes", ()))
        deleted = tuple(map(str, known.pop("deleted", ())))
        return DatasetProvenance(episodes=episodes, deleted=deleted, **known)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: damaged: {error!r}") from error


def write_provenance(root: Path, manifest: DatasetProvenance) -> None:
    """Write the manifest of a dataset."""
    write_json(root / MANIFEST_PATH, {"version": VERSION, **asdict(manifest)})


def same_robot(one: Embodiment, other: Embodiment) -> bool:
    """Whether two embodiments are equal except for path and description."""
    return replace(one, path=Path(), description="") == replace(other, path=Path(), description="")
