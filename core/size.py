"""The two sizes that mouths are painted in.

What is counted in pixels of a face crop (windows, margins, feathers, blurs) is counted in those of
a track's, where a face is 192 pixels high, as the light size has it. A *scale* says how many pixels
along a side a larger size has for one of these.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Size = Literal["light", "full"]
"""`light`: faces 192 pixels high, in real time on two CPU cores. `full`: 384, for GPUs."""

SCALES: Mapping[Size, int] = MappingProxyType({"light": 1, "full": 2})
