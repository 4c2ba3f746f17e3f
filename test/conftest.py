"""What has to happen before any test is imported."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

# Of torch's builds for GPUs. Its LLVM has to be there before Mesa's, which MuJoCo's renderer
# loads: the other way round the process dies of a segmentation fault.
with suppress(ImportError):
    import_module("triton")
