"""What has to happen before any test is imported."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from tempfile import TemporaryDirectory

from source_metadata import write_metadata

# One worker per core: more threads than that only wait for each other. Child processes inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Of torch's builds for GPUs. Its LLVM has to be there before Mesa's, which MuJoCo's renderer
# loads: the other way round the process dies of a segmentation fault.
with suppress(ImportError):
    import_module("triton")

# Chooses MuJoCo's OpenGL back end, which MuJoCo reads when it is imported.
with suppress(ImportError):
    import_module("pi0_bringup.simulation")

# The scenes that this source tree declares, whatever was installed last. Child processes look in
# the same place.
_METADATA = TemporaryDirectory(prefix="pi0_metadata_")
write_metadata(_METADATA.name)
sys.path.insert(0, _METADATA.name)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (_METADATA.name, os.environ.get("PYTHONPATH")))
)
