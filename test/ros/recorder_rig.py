"""Sensors and commands of a ur5e at their rates, published from a thread, and a recorder."""

from __future__ import annotations

import array
import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from pi0_msgs.msg import RecorderStatus
from pi0_msgs.srv import SetInstruction, StartEpisode, StopEpisode
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.nodes.observations import time_message

UR5E = load("ur5e")
CAMERA = UR5E.cameras[0].topic
WRIST = UR5E.cameras[1].topic
JOINTS = UR5E.state[0].topic
ARM = UR5E.controllers[0].topic


class Sensors:
    """Publishes every expected topic of the ur5e until closed; ``silent``: topics left out.

    ``sent`` counts by topic. ``simulated``: on a clock of their own, which starts at 100 s and
    advances with the schedule of their messages, so that a busy machine delays everything alike.
    Frames are noise, small, and of the embodiment's aspect.
    """

    def __init__(self, ros: Graph, *, simulated: bool = False) -> None:
        self._time = ros.publisher(Clock, "/clock", SENSOR_QOS) if simulated else None
        self.silent: set[str] = set()
        self.sent: dict[str, int] = {}
        self._clock = ros.node.get_clock()
        noise = np.random.default_rng(3).integers(50, 200, (16, 48 * 192), np.uint8)
        self._frames = [array.array("B", frame.tobytes()) for frame in noise]
        self._due: list[list[Any]] = []
        self._start_s = self._schedule_s = time.monotonic()
        for kind, topic, rate_hz, qos in (
            *((Image, c.topic, c.rate_hz, SENSOR_QOS) for c in UR5E.cameras),
            *((JointState, topic, 100.0, SENSOR_QOS) for topic in {d.topic for d in UR5E.state}),
            *((Float64MultiArray, c.topic, 50.0, COMMAND_QOS) for c in UR5E.controllers),
        ):
            publisher = ros.publisher(kind, topic, qos)
            self._due.append([self._start_s, 1.0 / rate_hz, kind, topic, publisher])
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def burst(self, topic: str, count: int) -> None:
        """Publish so many messages of a silent topic at once."""
        assert topic in self.silent
        ((kind, publisher),) = ((e[2], e[4]) for e in self._due if e[3] == topic)
        for _ in range(count):
            publisher.publish(self._message(kind, topic, 0))
        self.sent[topic] += count

    def _run(self) -> None:
        while self._open:
            entry = min(self._due, key=lambda due: due[0])
            time.sleep(max(0.0, entry[0] - time.monotonic()))
            self._schedule_s = entry[0]
            entry[0] += entry[1]
            _, _, kind, topic, publisher = entry
            if self._time is not None:
                self._time.publish(Clock(clock=self._now()))
            if topic not in self.silent:
                count = self.sent.get(topic, 0)
                publisher.publish(self._message(kind, topic, count))
                self.sent[topic] = count + 1

    def _now(self) -> Any:
        if self._time is None:
            return self._clock.now().to_msg()
        return time_message(100 * 10**9 + int((self._schedule_s - self._start_s) * 1e9))

    def _message(self, kind: type, topic: str, count: int) -> Any:
        angle = 0.2 + 0.2 * math.sin(time.monotonic())
        if kind is Float64MultiArray:
            return Float64MultiArray(data=[angle] * 6)
        stamp = self._now()
        if kind is Image:
            image = Image(height=48, width=64, encoding="rgb8", step=192)
            image.data = self._frames[count % len(self._frames)]
            image.header.stamp = stamp
            return image
        names = [d.joint for d in UR5E.state if d.topic == topic]
        state = JointState(name=names, position=[angle] * len(names))
        state.header.stamp = stamp
        return state


class Operator:
    """Calls the services of a recorder and hears its status."""

    def __init__(self, ros: Graph, directory: Path) -> None:
        self.ros = ros
        self.directory = directory
        self.heard = ros.collect(RecorderStatus, "recorder/status", LATCHED_QOS)
        self.prompt = ros.publisher(String, "prompt", LATCHED_QOS)
        self.prompt.publish(String(data="fold the shirt"))

    @property
    def status(self) -> Any:
        return self.heard[-1]

    def await_status(self, condition: Any, what: str) -> Any:
        """Spin until a status heard from now on satisfies the condition; that status."""
        self.heard.clear()
        self.ros.spin_until(lambda: self.heard and condition(self.heard[-1]), what=what)
        return self.heard[-1]

    def await_ready(self) -> None:
        self.await_status(lambda s: s.ready and s.state != s.RECORDING, "a ready recorder")

    def start(self, task: str = "fold the shirt") -> Any:
        return self.ros.call(
            StartEpisode, "recorder/start_episode", StartEpisode.Request(task=task)
        )

    def stop(self, outcome: int = StopEpisode.Request.SUCCEEDED) -> Any:
        return self.ros.call(
            StopEpisode, "recorder/stop_episode", StopEpisode.Request(outcome=outcome)
        )

    def trigger(self, name: str) -> Any:
        return self.ros.call(Trigger, f"recorder/{name}", Trigger.Request())

    def instruct(self, text: str) -> Any:
        return self.ros.call(
            SetInstruction, "recorder/set_instruction", SetInstruction.Request(instruction=text)
        )

    def await_messages(self, count: int, topic: str = JOINTS) -> Any:
        """Spin until so many messages of a topic are in the bag of the episode."""
        return self.await_status(
            lambda s: s.state == s.RECORDING and s.written[list(s.topics).index(topic)] >= count,
            f"{count} messages of {topic}",
        )
