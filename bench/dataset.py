"""Speed of the conversion of bags to a dataset, relative to their recorded time.

Writes synthetic episodes with the recorder's bag writer (raw 640x480 cameras with sensor noise,
joint states, commands), converts them with the function of `pi0 dataset convert`, and measures the
time. Prints a table and then one line of JSON.

    python bench/dataset.py --duration 30 --bags 2
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pi0_ros.dataset import Dataset
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.export.messages import CommandMessages, image_message, joint_messages
from pi0_ros.dataset.view.summary import disk_bytes
from pi0_ros.embodiment import load
from pi0_ros.recording.episode import EpisodeInfo

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camera_sync import machine

START_NS = 1_700_000_000_000_000_000
NS = 1_000_000_000
TARGET = 5.0
#: Number of different pictures of each camera; the sequence repeats.
PICTURES = 30


def pictures(seed: int) -> list[np.ndarray]:
    """Pictures with a smooth background, a moving square and sensor noise (2 grey levels)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:480, :640]
    waves = [np.sin(rows / a + b) * np.cos(columns / a + b) for a, b in ((40, 0), (70, 1), (55, 2))]
    background = 128 + 70 * np.stack(waves, axis=2)
    found = []
    for index in range(PICTURES):
        image = background.copy()
        image[200:280, 40 + 16 * index : 120 + 16 * index] = (210, 60, 50)
        noise = rng.normal(0.0, 2.0, image.shape)
        found.append(np.clip(image + noise, 0, 255).astype(np.uint8))
    return found


def write_bag(folder: Path, name: str, embodiment: str, duration_s: float, seed: int) -> Path:
    robot = load(embodiment)
    info = EpisodeInfo(
        embodiment=robot.name,
        embodiment_yaml=robot.path.read_text(encoding="utf-8"),
        task="bench",
        start_ns=START_NS + seed,
        end_ns=START_NS + round(duration_s * NS),
        accepted=True,
    )
    bag = EpisodeBagWriter(folder, name, robot, info)
    scenes = {camera.topic: pictures(10 * seed + i) for i, camera in enumerate(robot.cameras)}
    commands = CommandMessages(robot)
    due: list[tuple[int, str, Any]] = []
    for index, camera in enumerate(robot.cameras):
        for i in range(int(duration_s * camera.rate_hz)):
            due.append((round(i * NS / camera.rate_hz) + index * 2_000_000, camera.topic, camera))
    hz = robot.rates.joint_state_hz
    due += [(round(i * NS / hz), "", None) for i in range(int(duration_s * hz))]
    for count, (offset, topic, camera) in enumerate(sorted(due, key=lambda each: each[:2])):
        stamp_ns = START_NS + seed + offset
        if camera is not None:
            picture = scenes[topic][count % PICTURES]
            bag.add(topic, stamp_ns + 3_000_000, image_message(camera, stamp_ns, picture))
            continue
        wave = 0.3 * np.sin(offset / NS + np.arange(len(robot.state)))
        action = np.clip(np.resize(wave, len(robot.action)), robot.limits.lower, robot.limits.upper)
        for name_, message in joint_messages(robot, stamp_ns, wave).items():
            bag.add(name_, stamp_ns, message)
        for name_, message in commands.make(stamp_ns, action).items():
            bag.add(name_, stamp_ns, message)
    return bag.finish(info.end_ns)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    bags = [
        write_bag(folder / "bags", f"b{i}", arguments.embodiment, arguments.duration, i)
        for i in range(arguments.bags)
    ]
    recorded = sum(f.stat().st_size for bag in bags for f in bag.iterdir())
    options = ConvertOptions(size=arguments.size, codec=arguments.codec, gop=arguments.gop)
    began_s, began_cpu_s = time.monotonic(), cpu_seconds()
    convert_bags(bags, folder / "set", options, jobs=arguments.jobs)
    took_s, cpu_s = time.monotonic() - began_s, cpu_seconds() - began_cpu_s
    dataset = Dataset.open(folder / "set")
    total_s = arguments.duration * arguments.bags
    order = np.random.default_rng(0).permutation(len(dataset))[:100]
    began_s = time.monotonic()
    for index in order:
        dataset.frame(int(index))
    read_ms = (time.monotonic() - began_s) / len(order) * 1e3
    robot = load(arguments.embodiment)
    return {
        "bench": "dataset",
        "machine": machine(),
        "cameras": f"{len(robot.cameras)} of {robot.cameras[0].width}x{robot.cameras[0].height}"
        f" at {robot.cameras[0].rate_hz:g} Hz",
        "frames": len(dataset),
        "fps": dataset.fps,
        "size": arguments.size,
        "codec": arguments.codec,
        "gop": options.video().gop if options.video() else None,
        "jobs": arguments.jobs or len(os.sched_getaffinity(0)),
        "recorded_s": total_s,
        "took_s": round(took_s, 1),
        "times_real_time": round(total_s / took_s, 2),
        "target": TARGET,
        "cpu_s_per_s": round(cpu_s / total_s, 3),
        "bag_gb_per_hour": round(recorded / total_s * 3600 / 1e9, 1),
        "dataset_gb_per_hour": round(disk_bytes(dataset) / total_s * 3600 / 1e9, 3),
        "random_frame_ms": round(read_ms, 2),
    }


def cpu_seconds() -> float:
    """Processor time of this process and of its finished workers."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embodiment", default="bimanual_trossen")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds per bag")
    parser.add_argument("--bags", type=int, default=2)
    parser.add_argument("--size", type=int, default=224, help="0: native")
    parser.add_argument("--codec", default="av1")
    parser.add_argument("--gop", type=int)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--folder", type=Path, help="folder with space for the bags")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pi0_bench_", dir=arguments.folder))
    try:
        result = measure(arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'machine':<20}{result['machine']}")
    print(f"{'cameras':<20}{result['cameras']}, raw; frames at {result['fps']} Hz")
    print(f"{'encoding':<20}{result['codec']}, {result['size']} pixels, GOP {result['gop']}")
    print(
        f"{'bag to dataset':<20}{result['recorded_s']:.0f} s in {result['took_s']} s:"
        f" {result['times_real_time']} times real time (at least {TARGET:g})"
    )
    print(f"{'processor time':<20}{result['cpu_s_per_s']} s per second recorded")
    print(f"{'bags':<20}{result['bag_gb_per_hour']} GB per hour")
    print(f"{'dataset':<20}{result['dataset_gb_per_hour']} GB per hour")
    print(f"{'random frame':<20}{result['random_frame_ms']} ms, all cameras")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
