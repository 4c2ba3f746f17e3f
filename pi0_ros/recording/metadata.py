"""``metadata.yaml`` of a rosbag2 bag, as ROS 2 Jazzy writes it (version 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

#: Since version 9, QoS profiles are lists of readable words.
VERSION = 9
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """QoS that a publisher offers, and that `ros2 bag play` offers again."""

    reliable: bool = True
    latched: bool = False
    depth: int = 10

    def to_map(self) -> dict[str, Any]:
        """The profile as rosbag2 spells it."""
        return {
            "history": "keep_last",
            "depth": self.depth,
            "reliability": "reliable" if self.reliable else "best_effort",
            "durability": "transient_local" if self.latched else "volatile",
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BagTopic:
    """One topic of a bag: absolute name, type, hash of the type, QoS that its publishers offer."""

    name: str
    type: str
    digest: str
    offered: tuple[Offered, ...] = ()

    def offered_yaml(self) -> str:
        """The offered profiles as text, for the metadata of the channel in the .mcap."""
        return _dump([offered.to_map() for offered in self.offered]).strip()


def bag_information(
    file_name: str,
    topics: Sequence[tuple[BagTopic, int]],
    span_ns: tuple[int, int],
    custom_data: Mapping[str, str],
) -> dict[str, Any]:
    """The rosbag2 metadata of a bag of one file; ``topics`` come with their message counts."""
    start_ns, end_ns = span_ns
    times = {
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "duration": {"nanoseconds": end_ns - start_ns},
    }
    count = sum(written for _, written in topics)
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        **times,
        "message_count": count,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [offered.to_map() for offered in topic.offered],
                    "type_description_hash": topic.digest,
                },
                "message_count": written,
            }
            for topic, written in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [{"path": file_name, **times, "message_count": count}],
        "custom_data": dict(custom_data),
        "ros_distro": "jazzy",
    }


def metadata_text(information: Mapping[str, Any]) -> str:
    """The text of ``metadata.yaml``."""
    return _dump({"rosbag2_bagfile_information": dict(information)})


def information_text(information: Mapping[str, Any]) -> str:
    """The same text without its outer key, as rosbag2 stores it in the .mcap."""
    return _dump(dict(information))


class _Plain(yaml.SafeDumper):
    """Repeats values instead of writing anchors, and writes multi-line text as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)


def _dump(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Plain, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
