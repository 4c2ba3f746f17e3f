"""Options from the text that a front end received."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pi0_ros.graph.arguments import (
    ARGUMENTS,
    HARDWARE_ARGUMENTS,
    RECORDER_ARGUMENTS,
    parse_options,
)
from pi0_ros.graph.options import GraphError, GraphOptions


def test_every_option_has_an_argument_and_the_same_default() -> None:
    names = [field.name for field in fields(GraphOptions) if field.name != "caller"]
    everywhere = {argument.name for argument in (*ARGUMENTS, *RECORDER_ARGUMENTS)}
    assert sorted(names) == sorted(everywhere)
    assert parse_options({"embodiment": "ur5e"}) == GraphOptions(embodiment="ur5e")
    recorder = parse_options({"embodiment": "ur5e"}, RECORDER_ARGUMENTS)
    assert recorder == GraphOptions(embodiment="ur5e", use_sim_time=False)


def test_every_argument_is_described() -> None:
    assert all(argument.description for argument in ARGUMENTS)
    assert {a.name for a in HARDWARE_ARGUMENTS} == {
        "embodiment",
        "hardware",
        "namespace",
        "parameters",
        "scene",
        "use_sim_time",
    }


def test_reads_numbers_and_switches() -> None:
    options = parse_options(
        {"embodiment": "ur5e", "num_steps": "5", "seed": "7", "use_sim_time": "true"}
    )
    assert (options.num_steps, options.seed, options.use_sim_time) == (5, 7, True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("num_steps", "ten", "num_steps is 'ten'; give a whole number"),
        ("seed", "1.5", "seed is '1.5'; give a whole number"),
        ("use_sim_time", "yes", "use_sim_time is 'yes'; give one of auto, true, false"),
        ("hardware", "gazebo", "hardware is 'gazebo'; give one of mujoco, mock, real"),
        ("embodiment", "", "no embodiment given"),
    ],
)
def test_refuses_text_that_it_cannot_read(name: str, text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_options({"embodiment": "ur5e", name: text})
