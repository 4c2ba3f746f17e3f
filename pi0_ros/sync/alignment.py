"""Decides when a set of frames and joint states is complete, and whether it may be used.

A set holds the newest frame of every camera and, per joint topic, the state whose stamp is
nearest to the newest of those frames. The aligner looks for a set each time a frame arrives, so
that a set is complete as soon as its last frame is there:

1. Every camera at the highest rate must have a frame newer than in the last set. A frame of a
   slower camera is used again for as long as the tolerance allows.
2. Free-running cameras of one rate have fixed phases. If one more frame would bring the frames
   clearly closer together, the set waits for it, at most until that frame is due. This happens
   once. Afterwards the sets complete in the better order, and nothing waits.
3. A set over the embodiment's tolerances is refused, and the stream at fault is named. This
   happens once for every set that is lost, so that refusals can be counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Generic

from pi0_ros.embodiment.types import SyncTolerances
from pi0_ros.stamps import NS_PER_S
from pi0_ros.sync.timed_buffer import Fault, Stamped, SyncRefusal, TimedBuffer
from pi0_ros.sync.types import AlignedSet, CameraStream, FrameT, StateT

#: Joint states kept per topic: more than the age of a usable frame at 200 Hz.
STATE_HISTORY = 64

# A rate of at least this share of the highest counts as the highest (29.97 beside 30 Hz).
_SAME_RATE = 0.9
# Waiting must reduce the skew by this share of the period; a smaller gain is jitter.
_WORTH_WAITING = 0.25
# A frame is waited for until this share of its period after it is due.
_LATE = 0.25
_NS_PER_MS = 1e6


class Aligner(Generic[FrameT, StateT]):
    """Collects frames and joint states; gives aligned sets and refusals.

    All times are nanoseconds on one clock, and the caller gives them. Not thread-safe.
    """

    def __init__(
        self,
        cameras: Sequence[CameraStream],
        joint_topics: Sequence[str],
        tolerances: SyncTolerances,
        *,
        history: int = STATE_HISTORY,
    ) -> None:
        if not cameras:
            raise ValueError("no cameras to align; an embodiment needs at least one")
        self._camera_skew_ns = round(tolerances.camera_skew_s * NS_PER_S)
        self._state_skew_ns = round(tolerances.state_skew_s * NS_PER_S)
        self._max_age_ns = round(tolerances.max_age_s * NS_PER_S)
        self._specs = {camera.name: camera for camera in cameras}
        self.cameras: dict[str, TimedBuffer[FrameT]] = {
            camera.name: TimedBuffer(camera.name, history=1, max_age_ns=self._max_age_ns)
            for camera in cameras
        }
        self.states: dict[str, TimedBuffer[StateT]] = {
            topic: TimedBuffer(topic, history=history, max_age_ns=self._max_age_ns)
            for topic in joint_topics
        }
        self._used: dict[str, int] = {}  # newest stamps in the last set, used or refused
        self._named: dict[str, int] = {}  # newest stamps when a silent stream was last named
        self._deadline_ns: int | None = None

    def clear(self) -> None:
        """Forget every message. Called after a jump of the clock and at a restart."""
        for camera in self.cameras.values():
            camera.clear()
        for topic in self.states.values():
            topic.clear()
        self._used.clear()
        self._named.clear()
        self._deadline_ns = None

    def waits_past(self, now_ns: int) -> bool:
        """Whether a set waited for a better frame and the time for that is over."""
        return self._deadline_ns is not None and now_ns >= self._deadline_ns

    def problems(self, now_ns: int) -> tuple[SyncRefusal, ...]:
        """Every stream that has nothing usable at this time, cameras first."""
        streams: list[TimedBuffer[FrameT] | TimedBuffer[StateT]] = [
            *self.cameras.values(),
            *self.states.values(),
        ]
        found = [stream.problem(now_ns) for stream in streams]
        return tuple(problem for problem in found if problem is not None)

    def ages_ns(self, now_ns: int) -> dict[str, int]:
        """Age of the newest message of each stream that has one [ns], by its stamp."""
        cameras = [(name, stream.newest) for name, stream in self.cameras.items()]
        states = [(name, stream.newest) for name, stream in self.states.items()]
        return {n: now_ns - newest.stamp_ns for n, newest in (*cameras, *states) if newest}

    def select(self, now_ns: int) -> AlignedSet[FrameT, StateT] | SyncRefusal | None:
        """The set that is complete now, why it is refused, or None to wait."""
        problems = self.problems(now_ns)
        silent = {problem.stream for problem in problems}
        frames = {
            name: stream.newest
            for name, stream in self.cameras.items()
            if name not in silent and stream.newest is not None
        }
        if problems:
            return self._name_silent(problems[0], frames)
        if not self._complete(frames):
            return None
        stamps = {name: frame.stamp_ns for name, frame in frames.items()}
        if self._worth_waiting(stamps, now_ns):
            return None
        skewed = self._skewed_camera(stamps)
        if skewed is not None:
            return None if self._expected(skewed, stamps) else self._refused(skewed)
        return self._assemble(frames, now_ns)

    def _leading(self, names: Mapping[str, object]) -> list[str]:
        """The cameras among these that run at the highest rate."""
        fastest = max((self._specs[name].rate_hz for name in names), default=0.0)
        return [name for name in names if self._specs[name].rate_hz >= _SAME_RATE * fastest]

    def _complete(self, frames: Mapping[str, Stamped[FrameT]]) -> bool:
        leading = self._leading(frames)
        return bool(leading) and all(
            frames[name].stamp_ns > self._used.get(name, -1) for name in leading
        )

    def _name_silent(
        self, problem: SyncRefusal, frames: Mapping[str, Stamped[FrameT]]
    ) -> SyncRefusal | None:
        """Name the silent stream once per round of frames of the other cameras.

        The frames are not marked as used, because the stream may come back in time. The first
        round names nothing, because streams do not start at the same instant.
        """
        self._deadline_ns = None
        newest = {name: frames[name].stamp_ns for name in self._leading(frames)}
        if not newest or any(stamp <= self._named.get(n, -1) for n, stamp in newest.items()):
            return None
        first_round = not newest.keys() <= self._named.keys()
        self._named.update(newest)
        return None if first_round else problem

    def _worth_waiting(self, stamps: Mapping[str, int], now_ns: int) -> bool:
        """Whether one more frame of the leading cameras would tighten the set enough."""
        if self.waits_past(now_ns):
            return False
        leading = {name: stamps[name] for name in self._leading(stamps)}
        period_ns = min(self._specs[name].period_ns for name in leading)
        skew_ns, due_ns = self._best_next(leading)
        if skew_ns > min(
            self._camera_skew_ns, _spread(leading.values()) - _WORTH_WAITING * period_ns
        ):
            return False
        if self._deadline_ns is None:
            wait_ns = max(0, due_ns - max(leading.values())) + round(_LATE * period_ns)
            self._deadline_ns = now_ns + wait_ns
        return True

    def _best_next(self, leading: Mapping[str, int]) -> tuple[int, int]:
        """Smallest skew [ns] that each camera's next frame can give, and when it is due [ns]."""
        stamps = dict(leading)
        best = (_spread(stamps.values()), max(stamps.values()))
        due = sorted((stamp + self._specs[name].period_ns, name) for name, stamp in leading.items())
        for stamp_ns, name in due:
            stamps[name] = stamp_ns
            best = min(best, (_spread(stamps.values()), stamp_ns))
        return best

    def _skewed_camera(self, stamps: Mapping[str, int]) -> SyncRefusal | None:
        """The camera farthest from the others if they lie too far apart."""
        skew_ns = _spread(stamps.values())
        if skew_ns <= self._camera_skew_ns:
            return None
        middle = median(stamps.values())
        name = max(stamps, key=lambda n: (abs(stamps[n] - middle), -stamps[n]))
        return SyncRefusal(name, Fault.SKEWED, _apart("the frames", skew_ns, self._camera_skew_ns))

    def _expected(self, skewed: SyncRefusal, stamps: Mapping[str, int]) -> bool:
        """Whether a slower camera lags only because its next frame is not due yet."""
        name = skewed.stream
        lag_ns = max(stamps.values()) - stamps[name]
        return name not in self._leading(stamps) and lag_ns < 1.5 * self._specs[name].period_ns

    def _assemble(
        self, frames: Mapping[str, Stamped[FrameT]], now_ns: int
    ) -> AlignedSet[FrameT, StateT] | SyncRefusal:
        stamp_ns = max(frame.stamp_ns for frame in frames.values())
        states: dict[str, Stamped[StateT]] = {}
        for topic, stream in self.states.items():
            state = stream.nearest(stamp_ns)
            if state is None:
                return self._refused(SyncRefusal(topic, Fault.MISSING, "nothing received yet"))
            distance_ns = abs(state.stamp_ns - stamp_ns)
            if distance_ns > self._state_skew_ns:
                detail = _apart("state and newest frame", distance_ns, self._state_skew_ns)
                return self._refused(SyncRefusal(topic, Fault.SKEWED, detail))
            states[topic] = state
        members = {name: frame.stamp_ns for name, frame in frames.items()}
        members |= {topic: state.stamp_ns for topic, state in states.items()}
        oldest = min(members, key=lambda name: members[name])
        age_ns = now_ns - members[oldest]
        if age_ns > self._max_age_ns:
            detail = f"{age_ns / _NS_PER_MS:.0f} ms old when the set was complete"
            return self._refused(SyncRefusal(oldest, Fault.STALE, detail))
        self._use_up()
        return AlignedSet(
            stamp_ns=stamp_ns,
            frames=frames,
            states=states,
            skew_ns=_spread(members.values()),
            camera_skew_ns=_spread([frame.stamp_ns for frame in frames.values()]),
            oldest_ns=members[oldest],
            age_ns=age_ns,
        )

    def _refused(self, refusal: SyncRefusal) -> SyncRefusal:
        self._use_up()
        return refusal

    def _use_up(self) -> None:
        self._deadline_ns = None
        for name, stream in self.cameras.items():
            if stream.newest is not None:
                self._used[name] = self._named[name] = stream.newest.stamp_ns


def _spread(stamps: Collection[int]) -> int:
    return max(stamps) - min(stamps)


def _apart(what: str, distance_ns: int, allowed_ns: int) -> str:
    return (
        f"{what} are {distance_ns / _NS_PER_MS:.1f} ms apart,"
        f" at most {allowed_ns / _NS_PER_MS:.1f} ms allowed"
    )
