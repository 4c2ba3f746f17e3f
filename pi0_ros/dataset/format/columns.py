"""Conversion between Arrow columns and NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def column_array(column: pa.ChunkedArray) -> NDArray[Any]:
    """A numeric column as an array (N,) or (N, n)."""
    if not pa.types.is_list(column.type) and not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy())
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(flat).reshape(len(column), -1) if flat else np.empty((0, 0))


def vector_column(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """An array (N,) or (N, n) as a column of this type."""
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values, kind)
