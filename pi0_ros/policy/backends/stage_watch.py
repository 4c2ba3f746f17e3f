"""How long the stages of an inference in this process take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import torch


class StageWatch:
    """Durations of the stages of one inference.

    Where the device runs ahead of the host, a mark waits for it: once per stage,
    never inside the denoising loop. Vision towers are timed by hooks, because they
    run inside the prefix.
    """

    def __init__(self, towers: Iterable[torch.nn.Module], device: torch.device) -> None:
        self._device = device
        self._began_s = self._last_s = self._vision_began_s = 0.0
        self._spent_s: dict[str, float] = {}
        for tower in towers:
            tower.register_forward_pre_hook(self._before_vision)
            tower.register_forward_hook(self._after_vision)

    def restart(self) -> None:
        """Start to time an inference."""
        self._began_s = self._last_s = time.perf_counter()
        self._spent_s = {"vision": 0.0}

    def mark(self, stage: str) -> None:
        """End a stage, which began at the previous mark."""
        now_s = self._now_s()
        self._spent_s[stage] = now_s - self._last_s
        self._last_s = now_s

    def stage_ms(self) -> tuple[float, ...]:
        """Durations in the order of :data:`~pi0_ros.policy.types.STAGES` [ms]."""
        spent = self._spent_s
        seconds = (
            spent["preprocess"],
            spent["vision"],
            spent["prefix"] - spent["vision"],
            spent["denoise"],
            spent["postprocess"],
            self._last_s - self._began_s,
        )
        return tuple(1e3 * duration for duration in seconds)

    def _before_vision(self, *_: Any) -> None:
        self._vision_began_s = self._now_s()

    def _after_vision(self, *_: Any) -> None:
        self._spent_s["vision"] += self._now_s() - self._vision_began_s

    def _now_s(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
