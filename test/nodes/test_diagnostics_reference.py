"""docs/reference/diagnostics.md names every key that the nodes report."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pi0_ros.nodes.chunk_executor.diagnostics import ExecutorDiagnostics, ExecutorFacts
from pi0_ros.nodes.executor_status import ExecutorView, LimitHits
from pi0_ros.policy.report import PolicyReport
from pi0_ros.policy.types import Chunk
from pi0_ros.sync import AlignedSet, Fault, Stamped, SyncRefusal, SyncReport

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "diagnostics.md"


def of_camera_sync() -> set[str]:
    report = SyncReport({"STREAM": 30.0})
    report.summary(0.0, [])
    report.refused(SyncRefusal("STREAM", Fault.FROZEN, ""))
    aligned: AlignedSet[object, object] = AlignedSet(
        stamp_ns=0,
        frames={"STREAM": Stamped(0, None)},
        states={},
        skew_ns=0,
        camera_skew_ns=0,
        oldest_ns=0,
        age_ns=0,
    )
    report.published(aligned)
    values = report.summary(1.0, [], {"STREAM": 0}).values
    return {key.replace("frozen", "FAULT") for key in values}


def of_the_policy() -> set[str]:
    report = PolicyReport()
    actions = np.zeros((1, 1), dtype=np.float32)
    report.published(Chunk(actions=actions, stage_names=("total",), stage_ms=(1.0,)))
    return set(report.values())


def of_the_executor() -> set[str]:
    facts = ExecutorFacts(off=(0.0,), refused={"RULE": 1})
    status = ExecutorView(action_names=("JOINT",), limit_hits=(LimitHits(),))
    return set(ExecutorDiagnostics().read(status, facts)[2])


@pytest.mark.parametrize("keys", [of_camera_sync(), of_the_policy(), of_the_executor()])
def test_every_key_is_in_the_reference(keys: set[str]) -> None:
    documented = set(re.findall(r"`([^`\s]+)`", REFERENCE.read_text(encoding="utf-8")))
    assert keys <= documented, sorted(keys - documented)
