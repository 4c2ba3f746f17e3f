"""`pi0 serve` as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from pi0_ros.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def served(checkpoint: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port."""
    command = [sys.executable, "-m", "pi0_ros.cli.main", "serve", "--embodiment", "ur5e"]
    command += ["--checkpoint", str(checkpoint), "--host", "127.0.0.1", "--port", "0"]
    environment = os.environ | {"PI0_API_KEY": "secret", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [*command, "--num-steps", "1", "--prompt", "fold the towel"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"serving on ws://127\.0\.0\.1:(\d+)", said)
        assert found, said
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def test_serves_an_openpi_client_and_ends_in_order(
    served: tuple[subprocess.Popen[str], int],
) -> None:
    process, port = served
    view = np.zeros((224, 224, 3), dtype=np.uint8)
    message: dict[str, Any] = {"joints": np.zeros(6), "gripper": 0.0}
    client = WebsocketClientPolicy("127.0.0.1", port, api_key="secret")
    reply = client.infer(message | {"base_rgb": view, "wrist_rgb": view})
    assert reply["actions"].shape == (50, 7)
    process.send_signal(signal.SIGINT)
    assert process.wait(20.0) == 0


def test_a_checkpoint_that_does_not_fit_is_refused(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["serve", "--checkpoint", str(checkpoint), "--embodiment", "franka"]
    assert main(words) == 2
    assert "does not fit franka" in capsys.readouterr().err
