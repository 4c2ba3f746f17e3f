"""What has to happen before any test is imported."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module

# One worker per core: more threads than that only wait for each other. Child processes inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Of torch's builds for GPUs. Its LLVM has to be there before Mesa's, which MuJoCo's renderer
# loads: the other way round the process dies of a segmentation fault.
with suppress(ImportError):
    import_module("triton")
