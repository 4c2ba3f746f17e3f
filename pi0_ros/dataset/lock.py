"""One writer at a time in a dataset."""

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
    """Keep every other writer out of a dataset; remove what is left empty or half-assembled.

    Raises :class:`DatasetError` if there is one.
    """
    existed, staging = out.exists(), out / STAGING
    descriptor = _lock(out, staging)
    try:
        yield
    finally:
        if _is_at(descriptor, staging):
            shutil.rmtree(staging / ASSEMBLY, ignore_errors=True)
            for folder in (staging, *([] if existed else [out])):
                with suppress(OSError):  # not empty: to be gone on with
                    folder.rmdir()
        os.close(descriptor)


def _lock(out: Path, staging: Path) -> int:
    while True:
        staging.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # the one before has just removed it
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DatasetError(
                f"{out}: another conversion is writing there; wait for it"
            ) from error
        if _is_at(descriptor, staging):
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, folder: Path) -> bool:
    """Whether a folder still is the one that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False
