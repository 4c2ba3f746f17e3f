"""The recording screen says, in words, what the status says in numbers."""

from __future__ import annotations

import io
import math
from typing import Any

from rich.console import Console

from pi0_msgs.msg import RecorderStatus
from pi0_ros.clients.record.screen import ConsoleView, draw


def status(**fields: Any) -> RecorderStatus:
    base: dict[str, Any] = {
        "embodiment": "ur5e",
        "ready": True,
        "topics": ["camera", "joint_states", "prompt"],
        "rates_hz": [30.0, 60.0, 0.0],
        "expected_hz": [30.0, 100.0, 0.0],
        "written": [45, 90, 0],
        "lost": [0, 2, 0],
        "ages_s": [0.01, 1.5, math.nan],
        "bytes_free": 81_000_000_000,
    }
    return RecorderStatus(**{**base, **fields})


def text(status_: RecorderStatus, **view: Any) -> list[str]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(draw(status_, ConsoleView(task="fold the shirt", **view)))
    return console.export_text().splitlines()


def test_shows_every_stream_with_rate_losses_and_silence() -> None:
    lines = text(status())
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("c", "j", "p"))}
    assert rows["camera"] == ["30.0", "30", "45"]
    assert rows["joint_states"] == ["60.0", "100", "90", "2", "1.5", "s"]
    assert rows["prompt"] == ["-", "never"]


def test_the_headline_follows_the_state() -> None:
    recording = status(
        state=RecorderStatus.RECORDING,
        elapsed_s=83.4,
        task="fold the shirt",
        instruction="left sleeve",
        episode_path="/bags/ur5e_1.recording",
        bytes_written=4_000_000_000,
        warnings=["camera: frozen"],
    )
    shown = "\n".join(text(recording, tally=(("succeeded", 2), ("failed", 0))))
    for piece in ("● RECORDING", "01:23.4", "left sleeve", "ur5e_1.recording", "(2 succeeded)"):
        assert piece in shown
    assert "4.0 GB written, 81.0 GB free (28 min)" in shown
    assert "camera: frozen" in shown
    assert " d  discard" in shown and " q  quit" not in shown


def test_says_why_nothing_can_start_and_what_went_wrong() -> None:
    waiting = "\n".join(text(status(ready=False, reason="camera: no message yet; joints: silent")))
    assert "NOT READY" in waiting and "\ncamera: no message yet\njoints: silent" in waiting
    failed = "\n".join(text(status(state=RecorderStatus.FAILED, reason="the disk is full")))
    assert "LAST EPISODE FAILED" in failed and "the disk is full" in failed
    assert "NO ANSWER FROM THE RECORDER" in "\n".join(text(status(), silent_s=9.0))


def test_shows_what_is_being_typed_in_place_of_the_keys() -> None:
    lines = text(status(state=RecorderStatus.RECORDING), typing="left sl")
    assert lines[-1].startswith("instruction: left sl▏")
