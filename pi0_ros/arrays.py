"""Names for the array types that signatures use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Numbers of a computation. Shapes are given where the array is used.
FloatArray = NDArray[np.float64]
