"""msgpack with arrays, as the openpi websocket protocol packs them.

Two map extensions, their marker keys as *bin*:
``{b"__ndarray__": true, b"data": bytes, b"dtype": "<f4", b"shape": [2, 3]}`` and
``{b"__npgeneric__": true, b"data": value, b"dtype": "<f4"}``. ``np.float64`` and ``np.str_`` are
Python numbers and strings to msgpack and are sent as such. Source: openpi_client.msgpack_numpy.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.errors import PolicyError

#: Kinds of dtype that are not sent: structured, Python object, complex.
_REFUSED_KINDS = frozenset("VOc")


class ProtocolError(PolicyError):
    """Bytes or values that do not belong to the protocol."""


def pack(value: Any) -> bytes:
    """Bytes of a value made of maps, lists, numbers, text, bytes and arrays.

    Raises :class:`ProtocolError` for anything else.
    """
    try:
        packed: bytes = msgpack.packb(value, default=_to_map)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"cannot be sent: {error}") from error
    return packed


def unpack(data: bytes) -> Any:
    """The value in bytes from :func:`pack`; its arrays are read-only views of ``data``.

    Raises :class:`ProtocolError` for bytes that are not exactly one such value.
    """
    try:
        return msgpack.unpackb(data, object_hook=_from_map)
    except ProtocolError:
        raise
    # The exception that msgpack raises depends on the invalid byte.
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError(
            f"{len(data)} bytes are not a msgpack message: {error or type(error).__name__}"
        ) from error


def _to_map(value: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{type(value).__name__} is not part of the protocol")
    if value.dtype.kind in _REFUSED_KINDS:
        raise TypeError(f"an array of dtype {value.dtype} is not part of the protocol")
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}


def _from_map(fields: dict[Any, Any]) -> Any:
    if b"__ndarray__" in fields:
        return _array(fields)
    if b"__npgeneric__" in fields:
        return _dtype(fields).type(fields.get(b"data"))
    return fields


def _array(fields: dict[Any, Any]) -> NDArray[Any]:
    dtype = _dtype(fields)
    shape, data = fields.get(b"shape"), fields.get(b"data")
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ProtocolError(f"an array has the shape {shape!r}; a list of sizes expected")
    size = math.prod(shape) * dtype.itemsize
    if not isinstance(data, bytes) or len(data) != size:
        found = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise ProtocolError(f"an array {dtype} of shape {shape} comes with {found}, {size} needed")
    return np.ndarray(shape=shape, dtype=dtype, buffer=data)


def _dtype(fields: dict[Any, Any]) -> np.dtype[Any]:
    name = fields.get(b"dtype")
    try:
        dtype = np.dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    # With a dtype of width 0, such as "<U0", every shape would fit zero bytes.
    if dtype is None or dtype.kind in _REFUSED_KINDS or dtype.itemsize == 0:
        raise ProtocolError(f"an array has the dtype {name!r}, which is not part of the protocol")
    return dtype
