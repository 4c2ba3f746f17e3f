"""Programs that know ROS, which this room does without."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

_NAME = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?", re.ASCII)


def become(module: str, words: Sequence[str]) -> NoReturn:
    """Go on as ``python -m module words``, in the same process.

    A parent would stand between it and whoever interrupts, ends or waits for it.
    """
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *words])


def ros_name(text: str) -> str:
    """For argparse: the name of a node or a namespace. Raises ArgumentTypeError."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ROS name; give letters, digits and underscores between slashes, "
            "such as robot_1/left"
        )
    return text
