"""The choice of a strategy by parameters."""

from __future__ import annotations

import numpy as np
import pytest
from closed_loop import TIMING

from pi0_ros.model import guidance
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import RTC_SCHEDULES, RtcOptions
from pi0_ros.policy.strategy import EnsembleOptions, StrategyChoice, strategies
from pi0_ros.policy.types import RemainingActions


def chosen(name: str, *, can_continue: bool) -> str:
    return StrategyChoice(name=name).make(TIMING, can_continue=can_continue).name


def test_the_default_is_the_best_that_the_backend_can() -> None:
    assert chosen("", can_continue=True) == "rtc"
    assert chosen("", can_continue=False) == "sequential"


@pytest.mark.parametrize("name", strategies())
def test_an_explicit_choice_is_followed(name: str) -> None:
    assert chosen(name, can_continue=True) == name


def test_rtc_with_a_backend_that_cannot_is_an_error() -> None:
    with pytest.raises(PolicyError, match=r"cannot continue a chunk.*use strategy:=sequential"):
        chosen("rtc", can_continue=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StrategyChoice(name="fast"), "strategy is 'fast'; give one of sequential,"),
        (lambda: EnsembleOptions(decay=-0.1), "ensemble_decay is -0.1; give 0"),
        (lambda: EnsembleOptions(decay=float("nan")), "ensemble_decay is nan"),
        (lambda: RtcOptions(mode="hard"), "rtc_mode is 'hard'; give one of guided, prefix"),
        (lambda: RtcOptions(schedule="cosine"), "rtc_schedule is 'cosine'; give one of exp,"),
        (lambda: RtcOptions(max_guidance=0.0), "rtc_max_guidance is 0.0; give a number above 0"),
        (lambda: RtcOptions(max_guidance=float("inf")), "rtc_max_guidance is inf"),
    ],
)
def test_refuses_values_that_mean_nothing(make: object, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        make()  # type: ignore[operator]


def test_schedules_are_those_of_the_model() -> None:
    assert RTC_SCHEDULES == guidance.SCHEDULES


def test_remaining_actions_have_the_rows_that_the_delay_freezes() -> None:
    with pytest.raises(PolicyError, match="delay is 3 steps and 2 remain"):
        RemainingActions(actions=np.zeros((2, 7), np.float32), delay=3, options=RtcOptions())
