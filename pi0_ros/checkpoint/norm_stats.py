"""openpi's statistics: ``assets/<asset id>/norm_stats.json``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pi0_ros.checkpoint.contents import StoredStatistics
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.manifest import Statistics

STATS_FILE = "norm_stats.json"
EPS = 1e-6
_KEYS = ("mean", "std", "q01", "q99")


def assets(root: Path) -> dict[str, Path]:
    """Asset id (the folder below ``assets``, which may be nested) to its statistics file."""
    folder = root / "assets"
    return {
        path.parent.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob(STATS_FILE))
    }


def choose(root: Path, asset: str | None) -> tuple[Path | None, str]:
    """The statistics file to use, or None and the reason.

    A single asset needs no choice. Raises :class:`CheckpointError` for an unknown id.
    """
    found = assets(root)
    names = ", ".join(found) or "none"
    if asset is not None:
        if asset not in found:
            raise CheckpointError(f"{root}: no asset {asset!r}; it has {names}")
        return found[asset], ""
    if len(found) == 1:
        return next(iter(found.values())), ""
    if found:
        return None, f"several assets, choose one of {names} with --asset"
    return None, f"no assets/<asset id>/{STATS_FILE}; give one with --stats"


def read(path: Path, *, pi05: bool) -> StoredStatistics:
    """Statistics of ``path``: quantiles for π0.5, mean and deviation for π0.

    Raises :class:`CheckpointError` naming the missing or non-finite values.
    """
    data = read_object(path, "norm stats")
    stats = data.get("norm_stats", data)
    if not isinstance(stats, dict):
        raise CheckpointError(f"{path}: norm_stats is {stats!r}: state and actions expected")
    return StoredStatistics(
        kind="quantile" if pi05 else "zscore",
        eps=EPS,
        inverse_eps=EPS,
        state=_statistics(path, stats, "state"),
        actions=_statistics(path, stats, "actions"),
        source=str(path),
    )


def _statistics(path: Path, stats: dict[str, Any], part: str) -> Statistics:
    section = stats.get(part)
    if not isinstance(section, dict):
        raise CheckpointError(f"{path}: {part} is missing; use the checkpoint's own norm stats")
    mean, std, q01, q99 = (_numbers(path, f"{part}.{key}", section.get(key)) for key in _KEYS)
    if mean is None or std is None:
        raise CheckpointError(f"{path}: {part}.mean or {part}.std is missing; copy it again")
    return Statistics(mean=mean, std=std, q01=q01, q99=q99)


def _numbers(path: Path, key: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(
        isinstance(v, int | float) and math.isfinite(v) for v in values
    ):
        raise CheckpointError(f"{path}: {key} is not a list of finite numbers; recompute it")
    return tuple(float(v) for v in values)
