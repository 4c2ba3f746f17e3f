"""The bytes of the openpi protocol."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import openpi_client.msgpack_numpy as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pi0_ros.policy.remote.protocol import ProtocolError, pack, unpack

DTYPES = st.sampled_from(["<f4", "<f8", "|u1", "<i8", "|b1", "<U5", ">f4", "<i2"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=3))
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
VALUES = st.recursive(
    PLAIN | st.floats(allow_nan=False) | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def test_an_array_has_the_published_bytes() -> None:
    expected = (
        b"\x84"
        + b"\xc4\x0b__ndarray__\xc3"
        + (b"\xc4\x04data\xc4\x18" + bytes(24))
        + b"\xc4\x05dtype\xa3<f4"
        + b"\xc4\x05shape\x92\x02\x03"
    )
    assert pack(np.zeros((2, 3), dtype=np.float32)) == expected


def test_a_scalar_has_the_published_bytes() -> None:
    expected = b"\x83\xc4\x0d__npgeneric__\xc3\xc4\x04data\x05\xc4\x05dtype\xa3<i8"
    assert pack(np.int64(5)) == expected


def test_an_array_without_dimensions_has_an_empty_shape() -> None:
    assert pack(np.array(True)).endswith(b"\xc4\x05dtype\xa3|b1\xc4\x05shape\x90")


def test_float64_and_str_scalars_travel_as_plain_values() -> None:
    assert pack([np.float64(0.5), np.str_("a")]) == msgpack.packb([0.5, "a"])


@given(VALUES)
def test_what_is_packed_unpacks_to_the_same(value: Any) -> None:
    assert same(value, unpack(pack(value)))


@given(VALUES)
def test_the_public_client_packs_the_same_bytes_and_reads_ours(value: Any) -> None:
    assert pack(value) == theirs.packb(value)
    assert same(value, theirs.unpackb(pack(value)))


def test_decoded_arrays_are_read_only() -> None:
    array = unpack(pack(np.zeros(3)))
    assert not array.flags.writeable


def test_reads_an_array_stored_in_fortran_order_in_c_order() -> None:
    array = np.arange(6).reshape(2, 3).T
    np.testing.assert_array_equal(unpack(pack(array)), array)


@pytest.mark.parametrize(
    "value",
    [np.zeros(2, dtype=complex), np.array([None]), np.zeros(1, dtype="V4"), object(), {1, 2}],
    ids=["complex", "object", "void", "instance", "set"],
)
def test_refuses_to_send_what_the_protocol_does_not_know(value: Any) -> None:
    with pytest.raises(ProtocolError, match="not part of the protocol"):
        pack({"value": value})


def array_map(**changes: Any) -> bytes:
    fields = {"__ndarray__": True, "data": bytes(24), "dtype": "<f4", "shape": [2, 3]} | changes
    packed: bytes = msgpack.packb({key.encode(): value for key, value in fields.items()})
    return packed


def generic_map(**fields: Any) -> bytes:
    tagged = {"__npgeneric__": True, **fields}
    packed: bytes = msgpack.packb({key.encode(): value for key, value in tagged.items()})
    return packed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (array_map(data=bytes(20)), r"float32 of shape \[2, 3\] comes with 20 bytes, 24 needed"),
        (array_map(data="text"), "comes with str"),
        (array_map(shape=[-2, -3]), r"shape \[-2, -3\]"),
        (array_map(shape=6), "shape 6"),
        (array_map(dtype="|O"), r"dtype '\|O'"),
        (array_map(dtype="no such"), "dtype 'no such'"),
        (array_map(dtype=None), "dtype None"),
        (array_map(dtype="<U0", data=b"", shape=[2**40]), "dtype '<U0'"),
        (array_map(dtype="|S0", data=b"", shape=[2**40]), r"dtype '\|S0'"),
        (generic_map(data="", dtype="<U0"), "dtype '<U0'"),
        (generic_map(data=2**63, dtype="<i4"), "not a msgpack message"),
        (b"", "0 bytes are not a msgpack message"),
        (b"\xc1", "not a msgpack message"),
        (b"\x82\xa1a", "not a msgpack message"),
        (pack({}) + b"\x00", "not a msgpack message"),
        (b"\x91" * 5000, "not a msgpack message"),
    ],
)
def test_refuses_garbage_and_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        unpack(data)


@given(st.binary(max_size=64))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    with suppress(ProtocolError):
        unpack(data)
