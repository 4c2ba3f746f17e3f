"""What may be asked of a session when, without ROS: the streams are made up."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from test_episode_recording import EXPECTED, SECOND, START_NS, TOPICS, plan, play

from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.episode_recording import EpisodeRecording
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.metadata import Offered
from pi0_ros.recording.session import RecordingState, Session, prepare_directory
from pi0_ros.recording.streams import StreamState, not_ready


class Streams:
    """Fresh streams of the ur5e, and the episode that gets them."""

    def __init__(self) -> None:
        self.recording: EpisodeRecording | None = None
        self.fault = ""
        self.states = [
            StreamState(topic=topic, name=f"/{topic.name.lstrip('/')}", offered=(Offered(),))
            for topic in TOPICS
        ]
        self.hear(time.monotonic())

    def hear(self, now_s: float) -> None:
        for state in self.states:
            state.last_s = now_s

    def deliver_to(self, recording: EpisodeRecording | None) -> None:
        self.recording = recording


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def session(streams: Streams, tmp_path: Path) -> Session:
    return Session(plan(tmp_path), streams, lambda: START_NS + 2 * SECOND, reserve_bytes=1)


def test_names_what_is_not_fresh(streams: Streams) -> None:
    camera, wrist, *_ = streams.states
    now_s = time.monotonic()
    streams.hear(now_s)
    assert not_ready(streams.states, now_s + 0.1) == ()
    camera.last_s = None
    wrist.offered = ()
    first, second = not_ready(streams.states, now_s + 0.1)
    assert first == f"{camera.topic.name}: no publisher"
    assert second == f"{wrist.topic.name}: its publisher is not known yet"
    camera.publishers = 1
    assert not_ready(streams.states, now_s)[0].endswith(": no message yet")
    late = not_ready(streams.states, now_s + 3.0)
    assert len(late) == len(EXPECTED)
    assert late[1].endswith("publisher is not known yet") and late[2].endswith("silent for 3.0 s")


def test_a_rate_is_that_of_the_last_two_seconds(streams: Streams) -> None:
    state = streams.states[0]
    for i in range(11):
        state.count = 10 * i if i < 5 else 40 + 2 * (i - 4)
        state.sample(0.5 * i)
    assert state.rate_hz() == pytest.approx(4.0)


def test_delivers_to_the_take_and_to_no_other(session: Session, streams: Streams) -> None:
    recording = session.start("fold")
    assert streams.recording is recording and session.state is RecordingState.RECORDING
    play(recording)
    ended = session.stop(Outcome.SUCCEEDED)
    assert streams.recording is None and session.recording is None
    assert (session.state, session.kept) == (RecordingState.IDLE, 1)
    assert ended.info.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("ended_by", ["the watch", "the operator"])
def test_an_episode_whose_messages_cannot_be_received_ends_as_failed_with_the_reason(
    session: Session, streams: Streams, ended_by: str
) -> None:
    play(session.start("fold"))
    streams.fault = "receiving failed: SystemError()"
    if ended_by == "the watch":
        session.watch()
    else:
        session.stop(Outcome.SUCCEEDED)
    assert session.last is not None and session.last[1] is not None
    info = session.last[1].info
    assert (info.outcome, info.complete, info.reason) == (Outcome.FAILED, False, streams.fault)
    assert session.state is RecordingState.FAILED and streams.fault in session.reason
    assert session.obstacles() == (streams.fault,)
    with pytest.raises(RecordingError, match="not ready: receiving failed"):
        session.start("fold")


def test_a_place_that_is_gone_ends_the_episode_and_is_named(
    session: Session, tmp_path: Path
) -> None:
    session.start("fold")
    session._reserve = 1 << 30
    folder = tmp_path
    shutil.rmtree(folder)
    session.watch()
    assert session.state is RecordingState.FAILED
    assert session.recording is None
    assert any("GB free at" in obstacle for obstacle in session.obstacles())


def test_an_episode_that_cannot_be_removed_keeps_no_other_from_starting(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = session.start("fold")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("pi0_ros.recording.bag.shutil.rmtree", refuse)
        with pytest.raises(RecordingError, match=r"recording cannot be removed: Permission"):
            session.discard()
    assert (session.state, session.recording) == (RecordingState.FAILED, None)
    assert recording.folder.exists()
    session.start("fold again")
    session.discard()


def test_a_nearly_full_disk_starts_nothing(streams: Streams, tmp_path: Path) -> None:
    session = Session(plan(tmp_path), streams, lambda: START_NS, reserve_bytes=1 << 60)
    with pytest.raises(RecordingError, match=r"not ready: .* GB free at .* GB wanted"):
        session.start("fold")


def test_makes_the_folder_and_tells_of_unfinished_episodes(tmp_path: Path) -> None:
    path, unfinished = prepare_directory(str(tmp_path / "new"))
    assert Path(path).is_dir() and unfinished == []
    (tmp_path / "new" / "a.recording").mkdir()
    assert prepare_directory(path) == (path, ["a.recording"])
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot be made"):
        prepare_directory(str(tmp_path / "file"))
