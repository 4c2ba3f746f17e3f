"""A package of one's own adds a chunk strategy: one file and an entry point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from closed_loop import TIMING, Loop
from plugin import install

from pi0_ros.extensions import STRATEGIES
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.strategy import (
    RealTimeChunking,
    StrategyChoice,
    choose,
    option_defaults,
    strategies,
)

PATIENT = '''
    """Executes more of each chunk than the robot asks for."""

    from dataclasses import dataclass, field

    from pi0_ros.policy.strategy import RealTimeChunking, PlacedChunk, Strategy


    @dataclass(frozen=True, kw_only=True)
    class PatientOptions:
        extra_steps: int = field(default=5, metadata={"description": "steps beyond the robot's"})


    class Patient(Strategy):
        name = "patient"
        description = "executes more of each chunk"
        Options = PatientOptions
        option_prefix = "patient_"

        def _steps_between(self):
            return self._timing.execution_steps + self._options.extra_steps

        def _request(self, plain, can_continue):
            return plain

        def _place(self, request, actions, now_ns):
            return PlacedChunk(stamp_ns=now_ns, actions=actions)
'''


@pytest.fixture(autouse=True)
def _fresh_table() -> Iterator[None]:
    STRATEGIES.refresh()
    yield
    STRATEGIES.refresh()


def test_it_is_offered_parametrised_and_drives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(
        monkeypatch, tmp_path, {"patient": PATIENT}, {STRATEGIES.group: "patient = patient:Patient"}
    )
    assert list(strategies()) == ["sequential", "temporal_ensemble", "rtc", "patient"]
    assert option_defaults()["patient_extra_steps"] == (5, "steps beyond the robot's")
    values = {name: default for name, (default, _) in option_defaults().items()}
    strategy = choose("patient", values | {"patient_extra_steps": 7}).make(
        TIMING, can_continue=False
    )
    run = Loop(strategy, [3]).run_until(lambda run: len(run.published) == 3)
    assert run.published[2].request.steps == TIMING.execution_steps + 7


def test_a_built_in_one_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(
        monkeypatch, tmp_path, {"patient": PATIENT}, {STRATEGIES.group: "rtc = patient:Patient"}
    )
    assert strategies()["rtc"] is RealTimeChunking


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Patient = 3", r"but patient:Patient is no builtins\.type"),
        ("class Patient: ...", "'patient' must be a subclass of Strategy of that name"),
        (
            "import nowhere_at_all",
            "whose package fails to load: patient:Patient: ModuleNot",
        ),
    ],
)
def test_an_entry_point_that_is_no_strategy_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    points = {STRATEGIES.group: "patient = patient:Patient"}
    install(monkeypatch, tmp_path, {"patient": text}, points)
    with pytest.raises(PolicyError, match=message):
        StrategyChoice(name="patient").make(TIMING, can_continue=True)
