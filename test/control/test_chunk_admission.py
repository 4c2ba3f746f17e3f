"""Which chunks are admitted, and the reasons given for refused ones."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS, chunk, embodiment

from pi0_ros.control import ActionChunk, ChunkAdmission, Refusal, RefusalRule, Tuning

ROBOT = embodiment()
NOW = 10_000 * MS


@pytest.fixture
def admission() -> ChunkAdmission:
    return ChunkAdmission(ROBOT, Tuning())


def _chunk(**overrides):
    return chunk(ROBOT, overrides.pop("actions", np.zeros(4)), **{"stamp_ns": NOW, **overrides})


def _refused(admission: ChunkAdmission, rule: RefusalRule, *words: str, **overrides) -> None:
    refusal = admission.accept(_chunk(**overrides), NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.rule is rule
    for word in words:
        assert word in refusal.reason
    assert admission.refused == {rule: 1}
    assert admission.last_refusal == refusal.reason
    assert admission.accepted == 0


def test_accepts_a_chunk_that_fits(admission):
    taken = admission.accept(_chunk(), NOW)
    assert isinstance(taken, ActionChunk)
    assert taken.actions.shape == (10, 4)
    assert taken.end_ns == NOW + 9 * 20 * MS
    assert admission.accepted == 1


def test_reordered_columns_are_matched_by_name(admission):
    names = ("base", "gripper", "elbow", "shoulder")
    taken = admission.accept(_chunk(actions=[4.0, 3.0, 2.0, 1.0], names=names), NOW)
    assert taken.actions[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert taken.names == ROBOT.action_names


def test_refuses_missing_and_unknown_names(admission):
    _refused(
        admission,
        RefusalRule.NAMES,
        "lacks 'base'",
        "unknown 'wing'",
        names=("shoulder", "elbow", "gripper", "wing"),
    )


def test_refuses_a_repeated_name(admission):
    _refused(
        admission,
        RefusalRule.NAMES,
        "repeats 'elbow'",
        names=("shoulder", "elbow", "elbow", "gripper", "base"),
    )


def test_refuses_nan_and_names_the_joint_and_the_step(admission):
    actions = np.zeros((10, 4))
    actions[3, 1] = np.nan
    _refused(admission, RefusalRule.FINITE, "nan", "'elbow'", "step 3", actions=actions)


def test_refuses_infinity(admission):
    _refused(admission, RefusalRule.FINITE, "inf", actions=[0.0, 0.0, np.inf, 0.0])


def test_refuses_a_wrong_horizon(admission):
    _refused(admission, RefusalRule.HORIZON, "is 9", "needs 10", horizon=9)


def test_refuses_a_wrong_number_of_values(admission):
    _refused(admission, RefusalRule.LENGTH, "39 numbers", "need 40", data=np.zeros(39, np.float32))


def test_refuses_a_wrong_step_duration(admission):
    _refused(admission, RefusalRule.STEP, "50 ms", "20 ms", step_ns=50 * MS)


def test_a_step_duration_may_be_rounded(admission):
    assert isinstance(admission.accept(_chunk(step_ns=20 * MS + 1), NOW), ActionChunk)


def test_refuses_a_chunk_for_another_embodiment(admission):
    _refused(admission, RefusalRule.EMBODIMENT, "'ur5e'", "'arm_with_base'", embodiment="ur5e")


def test_refuses_a_chunk_that_lies_wholly_in_the_past(admission):
    _refused(admission, RefusalRule.STALE, "0.020 s ago", stamp_ns=NOW - 200 * MS)


def test_accepts_a_chunk_that_has_begun(admission):
    assert isinstance(admission.accept(_chunk(stamp_ns=NOW - 100 * MS), NOW), ActionChunk)


def test_refuses_a_chunk_stamped_too_far_ahead(admission):
    _refused(admission, RefusalRule.FUTURE, "0.600 s ahead", "0.5 s", stamp_ns=NOW + 600 * MS)


def test_refuses_a_chunk_from_an_old_observation(admission):
    _refused(
        admission,
        RefusalRule.OBSERVATION,
        "2.100 s old",
        "2 s",
        observation_stamp_ns=NOW - 2_100 * MS,
    )


def test_refuses_a_duplicate_and_an_older_chunk(admission):
    admission.accept(_chunk(sequence=5), NOW)
    for sequence in (5, 4):
        refusal = admission.accept(_chunk(sequence=sequence), NOW)
        assert refusal.rule is RefusalRule.SEQUENCE
        assert f"chunk {sequence} came after chunk 5" in refusal.reason
    assert admission.refused[RefusalRule.SEQUENCE] == 2


def test_refuses_a_second_source_by_id_while_the_first_is_alive(admission):
    admission.accept(_chunk(source_id="a"), NOW)
    refusal = admission.accept(_chunk(source_id="b"), NOW + 100 * MS)
    assert refusal.rule is RefusalRule.SOURCE
    assert "'b'" in refusal.reason
    assert "'a'" in refusal.reason


def test_a_second_source_may_begin_when_the_first_fell_silent(admission):
    admission.accept(_chunk(source_id="a", sequence=99), NOW)
    later = NOW + 2_001 * MS
    taken = admission.accept(_chunk(source_id="b", sequence=0, stamp_ns=later), later)
    assert isinstance(taken, ActionChunk)


def test_a_refused_chunk_does_not_keep_its_source_alive(admission):
    admission.accept(_chunk(sequence=9), NOW)
    for ms in (900, 1_800):
        at = NOW + ms * MS
        assert isinstance(admission.accept(_chunk(sequence=1, stamp_ns=at), at), Refusal)
    at = NOW + 2_001 * MS
    assert isinstance(admission.accept(_chunk(sequence=2, stamp_ns=at), at), ActionChunk)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_bad_tuning_value_is_named(value):
    with pytest.raises(ValueError, match="splice_s is"):
        Tuning(splice_s=value)
