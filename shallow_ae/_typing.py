"""Types of arrays and matrices in signatures."""

from __future__ import annotations

from typing import Any, TypeAlias

import scipy.sparse as sp
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Interactions: TypeAlias = "Array | sp.csr_array[Any]"
