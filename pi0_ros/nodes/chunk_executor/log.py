"""The log of chunk_executor: at most one line every two seconds for each kind of event."""

from __future__ import annotations

import math
import time
from typing import Any

from pi0_ros.control import Refusal, Tick

_PERIOD_S = 2.0


class ThrottledLog:
    """Logs the events of ticks and callbacks, which may recur with every tick."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._logged_s: dict[str, float] = {}

    def state_change(self, before: Tick | None, tick: Tick) -> None:
        """Log the state of a tick if it differs from that of the tick before."""
        changed = before is None or before.state is not tick.state
        if changed and self._is_due(tick.state.name):
            detail = tick.reason or tick.source_id
            self._logger.info(f"{tick.state.name.lower()}: {detail}")

    def refusal(self, what: str, refusal: Refusal | None) -> None:
        """Log a refusal, if there is one."""
        if refusal is not None and self._is_due(refusal.rule.value):
            self._logger.warning(f"refused {what}: {refusal.reason}")

    def missed_ticks(self, missed: int, late_ns: int) -> None:
        """Log how many ticks were missed before a late one, if any."""
        if missed and self._is_due("missed"):
            late = f"{late_ns * 1e-6:.1f} ms late"
            self._logger.warning(f"missed {missed} ticks; the one after was {late}")

    def fault(self, error: Exception) -> None:
        """Log an exception in a tick."""
        if self._is_due("fault"):
            self._logger.error(f"fault in the tick, holding: {error!r}")

    def _is_due(self, what: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._logged_s.get(what, -math.inf) < _PERIOD_S:
            return False
        self._logged_s[what] = now_s
        return True
