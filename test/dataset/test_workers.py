"""Worker processes of a conversion exit with it."""

from __future__ import annotations

import os
import select
import subprocess
import sys

_PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
_POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from pi0_ros.dataset.convert import workers

context = multiprocessing.get_context("spawn")
start, queue = workers._start_worker, context.Queue()
pool = ProcessPoolExecutor(1, context, initializer=start, initargs=(queue,))
print(pool.submit(os.getpid).result(), flush=True)
pool.submit(time.sleep, 60.0).result()
"""


def test_workers_end_with_a_conversion_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _POOL], **_PIPES) as conversion:
        assert conversion.stdout is not None
        worker = os.pidfd_open(int(conversion.stdout.readline()))
        try:
            conversion.kill()
            ended, _, _ = select.select([worker], [], [], 60.0)
            assert ended
        finally:
            os.close(worker)
