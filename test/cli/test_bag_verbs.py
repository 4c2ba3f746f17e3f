"""``pi0 bag``: what it prints about whole, broken and foreign bags."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_episode_recording import SECOND, START_NS, begin, plan, play

from pi0_ros.cli.main import main
from pi0_ros.recording.episode import Outcome


@pytest.fixture
def episodes(tmp_path: Path) -> Path:
    """Two episodes: a good one, and one that was never finished."""
    recording = begin(plan(tmp_path), "good")
    play(recording)
    recording.set_instruction("left sleeve", START_NS + SECOND)
    recording.stop(Outcome.SUCCEEDED, "first try", START_NS + 2 * SECOND)
    killed = begin(plan(tmp_path), "killed")
    play(killed)
    killed.queue.close()
    return tmp_path


def test_info_shows_the_metadata_of_an_episode(
    episodes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "info", str(episodes / "good")]) == 0
    text = capsys.readouterr().out
    assert "task         fold the shirt" in text
    assert "succeeded, complete" in text
    assert "quality gate accepted" in text
    assert "    1.0 s  left sleeve" in text
    assert "/joint_states" in text and " 100.0 " in text


def test_check_tells_good_from_bad_by_exit_code(
    episodes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "check", str(episodes / "good")]) == 0
    assert "good: accepted, 2.0 s, succeeded" in capsys.readouterr().out
    assert main(["bag", "check", str(episodes)]) == 1
    said = capsys.readouterr()
    assert "good: accepted" in said.out
    assert "killed.recording: not a bag: it has no metadata.yaml" in said.err
    assert "`pi0 bag repair` it" in said.err


def test_repair_finishes_what_was_killed(
    episodes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "repair", str(episodes)]) == 0
    text = capsys.readouterr().out
    assert "good: whole; nothing to repair" in text
    assert "killed: kept 620 messages over 2.0 s" in text
    assert main(["bag", "check", str(episodes / "killed")]) == 1
    assert "the recorder ended before the episode did" in capsys.readouterr().out


def test_a_bag_of_another_program_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {custom_data: ~}\n")
    assert main(["bag", "info", str(tmp_path)]) == 1
    assert "not an episode of this suite" in capsys.readouterr().err
