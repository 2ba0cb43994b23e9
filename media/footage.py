"""What learning needs of a clip: its pictures. Nothing here needs a decoder."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Footage(Protocol):
    """A clip, whatever holds it. `media.clip.Clip` is one."""

    def frames(self, frames: range | None = None) -> Iterator[Any]:
        """The pictures of a range in order, all without one: each with its `index` in the clip and
        `rgb`, uint8 [H W 3]."""
        ...
