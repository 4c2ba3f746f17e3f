"""A bag that lost its end, cut at any byte, is a bag again with what was whole in it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from bags import INFO, chunk, open_bag
from rosbags.rosbag2 import Reader

from pi0_ros.recording.bag import RESERVE_NAME
from pi0_ros.recording.bag_check import check_bag
from pi0_ros.recording.episode import Termination
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.read import read_episode
from pi0_ros.recording.repair import repair


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """What a killed recorder leaves: three chunks, no end."""
    bag = open_bag(tmp_path)
    for i in range(3):
        bag.write(chunk(5 * i, 5))
    bag.abandon()
    return bag.folder


def count(path: Path) -> int:
    with Reader(path) as reader:
        found = len(list(reader.messages()))
        assert found == reader.message_count
    return found


def test_keeps_every_whole_message_and_says_how_many(broken: Path) -> None:
    done = repair(broken)
    assert done.path == broken.with_name("episode")
    assert not broken.exists()
    assert count(done.path) == done.kept == 30
    info = read_episode(done.path)
    assert info.termination is Termination.REPAIRED
    assert not info.complete
    assert [t.written for t in info.topics] == [15, 15]
    assert info.task == INFO.task
    assert "kept 30 messages over 0.1 s" in done.text()


def test_survives_a_cut_at_any_byte(broken: Path, tmp_path: Path) -> None:
    size = (broken / "episode_0.mcap").stat().st_size
    kept = []
    for cut in range(size, size - 7000, -130):
        folder = tmp_path / str(cut) / broken.name
        shutil.copytree(broken, folder)
        with (folder / "episode_0.mcap").open("r+b") as stream:
            stream.truncate(cut)
        done = repair(folder)
        assert count(done.path) == done.kept
        kept.append(done.kept)
    assert kept == sorted(kept, reverse=True)
    # The last chunk gives its messages up one by one, not all at once.
    assert set(range(20, 31)) <= set(kept)


def test_leaves_a_whole_bag_alone(broken: Path) -> None:
    path = repair(broken).path
    before = (path / "episode_0.mcap").read_bytes()
    assert repair(path).text().endswith("whole; nothing to repair")
    assert (path / "episode_0.mcap").read_bytes() == before


def test_the_lone_file_says_that_it_is_broken(broken: Path) -> None:
    with pytest.raises(RecordingError, match="`pi0 bag repair` it"):
        read_episode(broken / "episode_0.mcap")
    with pytest.raises(RecordingError, match="it was not finished: `pi0 bag repair` it"):
        read_episode(broken)


def test_a_file_of_no_bytes_is_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "episode_0.mcap"
    path.touch()
    with pytest.raises(RecordingError, match="cannot be read: EndOfFile; `pi0 bag repair` it"):
        read_episode(path)


def test_makes_lost_metadata_again(broken: Path) -> None:
    path = repair(broken).path
    (path / "metadata.yaml").unlink()
    assert repair(path).changed
    assert count(path) == 30


def test_makes_metadata_again_that_cannot_be_read(broken: Path) -> None:
    path = repair(broken).path
    for text in ("{[", "rosbag2_bagfile_information: hello", "rosbag2_bagfile_information: {}"):
        (path / "metadata.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(RecordingError):
            read_episode(path)
        assert repair(path).changed
        assert read_episode(path).task == INFO.task
        assert count(path) == 30


def test_zeros_behind_the_last_chunk_are_cut_off(broken: Path) -> None:
    with (broken / "episode_0.mcap").open("ab") as stream:
        stream.write(bytes(5000))
    path = repair(broken).path
    assert count(path) == 30
    assert read_episode(path / "episode_0.mcap").task == INFO.task


def test_the_reserve_makes_room_for_the_end(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        assert not (broken / RESERVE_NAME).exists()
        raise OSError(errno.ENOSPC, "No space left on device")

    assert (broken / RESERVE_NAME).exists()
    monkeypatch.setattr("pi0_ros.recording.repair.finish_file", full)
    with pytest.raises(OSError, match="No space left"):
        repair(broken)
    monkeypatch.undo()
    assert repair(broken).kept == 30


def test_a_damaged_record_is_named_with_its_place(broken: Path) -> None:
    mcap = broken / "episode_0.mcap"
    data = bytearray(mcap.read_bytes())
    place = data.index(b"pi0_episode")
    data[place] = 0xFF
    mcap.write_bytes(data)
    with pytest.raises(RecordingError, match=r"damaged at byte \d+: .*mcap recover"):
        repair(broken)


def test_a_bag_that_its_reader_stumbles_over_is_refused_with_its_name(broken: Path) -> None:
    path = repair(broken).path
    with (path / "episode_0.mcap").open("r+b") as stream:
        stream.truncate(8)
    with pytest.raises(RecordingError, match=r"episode: cannot be read: .*pi0 bag repair"):
        check_bag(path)


def test_refuses_what_holds_nothing(tmp_path: Path) -> None:
    bag = open_bag(tmp_path)
    bag.abandon()
    with pytest.raises(RecordingError, match="holds no message"):
        repair(bag.folder)
    (tmp_path / "not.mcap").write_bytes(b"no bag at all")
    with pytest.raises(RecordingError, match="does not begin like one"):
        repair(tmp_path / "not.mcap")
    with pytest.raises(RecordingError, match=r"0 \.mcap files"):
        repair(tmp_path / "nowhere")
