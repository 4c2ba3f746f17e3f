"""The least time that a chunk can take on this machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pi0_ros.model import Flops, Pi0

#: Dense bfloat16 TFLOP/s and memory TB/s that large kernels reach, by part of the name.
KNOWN_GPUS = {"H200": (790.0, 4.3), "H100": (750.0, 3.0), "4090": (160.0, 0.92)}


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """``flop_s``: matrix product operations a second; ``bytes_s``: memory read a second."""

    name: str
    flop_s: float
    bytes_s: float
    source: str

    def floor_ms(self, flops: Flops, model: Pi0, *, steps: int) -> dict[str, float]:
        """Least time of each stage: for its operations or its weights, whichever takes longer."""
        stages = {
            "vision": (flops.vision, _bytes(model.vision)),
            "prefix": (flops.prefix, _bytes(model.backbone)),
            "denoise": (flops.denoise, steps * _bytes(model.expert)),
        }
        return {
            stage: 1e3 * max(operations / self.flop_s, read / self.bytes_s)
            for stage, (operations, read) in stages.items()
        }


def measure(device: torch.device, dtype: torch.dtype) -> Roofline:
    """The known figures of a GPU in bfloat16; otherwise those of a large product and copy."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    for part, (tflop_s, tbyte_s) in KNOWN_GPUS.items():
        if part in name and dtype == torch.bfloat16:
            return Roofline(
                name=name, flop_s=1e12 * tflop_s, bytes_s=1e12 * tbyte_s, source="known"
            )
    side = 8192 if device.type == "cuda" else 1536
    a = torch.ones(side, side, device=device, dtype=dtype)
    large = torch.ones(2**28 if device.type == "cuda" else 2**25, device=device)
    return Roofline(
        name=name,
        flop_s=2 * side**3 / _shortest(lambda: a @ a, device),
        bytes_s=large.numel() * large.element_size() / _shortest(large.sum, device),
        source="measured",
    )


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished, before the clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _shortest(function: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    function()
    durations = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        function()
        synchronise(device)
        durations.append(time.perf_counter() - start)
    return min(durations)


def _bytes(module: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


def machine() -> str:
    """Processor and number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores"
