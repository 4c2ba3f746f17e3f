from __future__ import annotations

from dataclasses import replace

import pytest
from networks import small_config

from pi0_ros.model import ConfigError, variant


@pytest.mark.parametrize(
    ("name", "value"), [("depth", 4), ("heads", 8), ("kv_heads", 1), ("head_dim", 12)]
)
def test_refuses_stacks_that_cannot_share_attention(name: str, value: int) -> None:
    config = small_config()
    other = replace(config.expert, **{name: value})
    with pytest.raises(
        ConfigError, match=rf"backbone\.{name} is \d+ and expert\.{name} is {value}"
    ):
        replace(config, expert=other)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision", {"heads": 5}, r"vision\.width 24 is not a multiple of vision\.heads 5"),
        ("vision", {"patch": 7}, r"vision\.image_size 32 is not a multiple of vision\.patch 7"),
        ("vision", {"depth": 0}, "depth is 0: use a positive number"),
        ("backbone", {"head_dim": 9}, "head_dim is 9"),
        ("backbone", {"kv_heads": 4}, "heads 6 is not a multiple of kv_heads 4"),
    ],
)
def test_refuses_impossible_parts(part: str, change: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(getattr(small_config(), part), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action_horizon": 0}, "action_horizon is 0"),
        ({"min_period": 5.0}, r"min_period 5\.0 and max_period 4\.0"),
    ],
)
def test_refuses_impossible_wholes(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(small_config(), **change)


def test_refuses_an_odd_time_embedding() -> None:
    config = small_config()
    with pytest.raises(ConfigError, match=r"expert\.width is 27"):
        replace(config, expert=replace(config.expert, width=27))


def test_an_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'huge': use one of pi0, pi05, tiny"):
        variant("huge")


def test_the_state_is_a_suffix_token_of_pi0_only() -> None:
    assert small_config().suffix_tokens == 8
    assert small_config(pi05=True).suffix_tokens == 7
