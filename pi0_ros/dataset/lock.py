"""The lock that gives a dataset one writer at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.writer import ASSEMBLY, STAGING


@contextmanager
def dataset_lock(out: Path) -> Iterator[None]:
    """Lock a dataset for writing; at the end, remove empty folders and incomplete files.

    Raises :class:`DatasetError` if another process holds the lock.
    """
    existed, staging = out.exists(), out / STAGING
    descriptor = _lock(out, staging)
    try:
        yield
    finally:
        if _is_at(descriptor, staging):
            shutil.rmtree(staging / ASSEMBLY, ignore_errors=True)
            for folder in (staging, *([] if existed else [out])):
                with suppress(OSError):  # not empty: the next run continues there
                    folder.rmdir()
        os.close(descriptor)


def _lock(out: Path, staging: Path) -> int:
    while True:
        staging.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # the previous writer has just removed it
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DatasetError(
                f"{out}: another process is writing to it; wait until it ends"
            ) from error
        if _is_at(descriptor, staging):
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, folder: Path) -> bool:
    """Whether the opened folder still is at this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False
