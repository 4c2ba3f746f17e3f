"""Message definitions as rosbag2 keeps them: the text of the .msg and of all it is made of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pi0_ros.recording.errors import RecordingError
from pi0_ros.system.ament_index import find_share_file

_RULER = "=" * 80
_FIELD = re.compile(r"^\s*([A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")
_PRIMITIVES = frozenset(
    {
        *("bool", "byte", "char", "float32", "float64", "string", "wstring"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    }
)


@dataclass(frozen=True, slots=True)
class Definition:
    """Of one message type: ``text`` in rosbag2's ros2msg form, ``digest`` its RIHS01 hash."""

    type: str
    text: str
    digest: str


@cache
def definition(type_name: str) -> Definition:
    """The definition of an installed type, such as ``sensor_msgs/msg/Image``.

    Raises :class:`RecordingError` if the package is not installed.
    """
    text = _read(type_name)
    parts = [text]
    seen = {type_name}
    waiting = list(_needed(type_name, text))
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        inner = _read(name)
        package, _, short = name.split("/")
        parts.append(f"{_RULER}\nMSG: {package}/{short}\n{inner}")
        waiting += _needed(name, inner)
    return Definition(
        type_name, "\n".join(part.rstrip("\n") for part in parts) + "\n", _hash(type_name)
    )


def _needed(type_name: str, text: str) -> Iterator[str]:
    """Full names of the types that the fields of a definition are of."""
    package = type_name.split("/", maxsplit=1)[0]
    for line in text.splitlines():
        match = _FIELD.match(line.split("#", maxsplit=1)[0])
        if match is None or match[1] in _PRIMITIVES:
            continue
        *owner, short = match[1].split("/")
        yield f"{owner[0] if owner else package}/msg/{short}"


def _read(type_name: str) -> str:
    return _file(type_name, "msg").read_text(encoding="utf-8")


def _hash(type_name: str) -> str:
    described = json.loads(_file(type_name, "json").read_text(encoding="utf-8"))
    for entry in described["type_hashes"]:
        if entry["type_name"] == type_name:
            return str(entry["hash_string"])
    raise RecordingError(
        f"the description of {type_name} states no hash of it; reinstall its package"
    )


def _file(type_name: str, suffix: str) -> Path:
    try:
        package, kind, short = type_name.split("/")
    except ValueError:
        raise RecordingError(
            f"message type {type_name!r}; give package/msg/Name, such as sensor_msgs/msg/Image"
        ) from None
    path = find_share_file(package, f"{kind}/{short}.{suffix}", os.environ)
    if path is None:
        raise RecordingError(
            f"message type {type_name} is not installed (no {kind}/{short}.{suffix} in the share"
            f" folder of {package}); install the package, or source its workspace"
        )
    return path
