"""Clips of a corpus that is larger than memory: a few are held, one after another gives way.

The order is random and depends on the seed alone. Where training stands in it is a few names and
numbers, so that an interrupted run holds the same clips again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from core.errors import InputError, UsageError
from prior.training.corpus import Sample, decode_sample
from prior.training.shards import Index, read_sample

Held = TypeVar("Held")

WORKERS = 4
"""Threads that make samples ready: the first ones all at once, later ones one at a time."""


@dataclass(frozen=True)
class Place:
    """Where a stream stands: samples drawn from the order, exchanges made, samples by slot."""

    drawn: int
    exchanges: int
    held: tuple[str, ...]

    @staticmethod
    def of(document: dict[str, Any]) -> "Place":
        """The place whose fields a JSON document holds."""
        return Place(document["drawn"], document["exchanges"], tuple(document["held"]))


class Library:
    """The part of a corpus that one of several processes learns from, read sample by sample."""

    def __init__(self, folder: Path, part: int = 0, parts: int = 1) -> None:
        """Raises InputError for no corpus, UsageError where it has fewer shards than processes."""
        self.folder, self.index = folder, Index.load(folder)
        if not self.index.shards:
            raise InputError(f"{folder} holds no sample; `redub prior prepare` left all clips out.")
        if len(self.index.shards) < parts:
            raise UsageError(
                f"{folder} has {len(self.index.shards)} shards for {parts} processes; start fewer "
                "or prepare it with a smaller --shard-size."
            )
        self.shards = self.index.shards[part::parts]
        self.places = {e.key: (shard, e) for shard in self.shards for e in shard.samples}

    def read(self, key: str) -> Sample:
        """Raises InputError for a sample that is not there or broken."""
        if key not in self.places:
            raise InputError(
                f"{self.folder} no longer holds {key}, which this training stands at; "
                "start anew in another output folder."
            )
        return decode_sample(read_sample(self.folder, *self.places[key]))

    def order(self, seed: int) -> Iterator[str]:
        """Samples without end, each once in every round: shards shuffled, samples within them."""
        random = torch.Generator().manual_seed(seed)
        while True:
            for number in torch.randperm(len(self.shards), generator=random).tolist():
                samples = self.shards[number].samples
                for at in torch.randperm(len(samples), generator=random).tolist():
                    yield samples[at].key


class Stream(Generic[Held]):
    """At most `hold` samples made ready by `ready`; `advance` exchanges the one held longest.

    The next one is made ready in a thread of its own while the others are learned from.
    """

    def __init__(
        self,
        library: Library,
        ready: Callable[[Sample], Held],
        hold: int,
        seed: int,
        place: Place | None = None,
    ) -> None:
        self.library, self.ready = library, ready
        self.order, self.drawn = library.order(seed), 0
        self.hold = min(hold, len(library.places))
        self.keys: list[str] = []
        self.place = place or Place(0, 0, ())
        while self.drawn < self.place.drawn:
            self._draw()
        self.keys = list(self.place.held)
        while len(self.keys) < self.hold:
            self.keys.append(self._fresh())
        self.place = Place(self.drawn, self.place.exchanges, tuple(self.keys))
        self.pool = ThreadPoolExecutor(WORKERS)
        self.held = list(self.pool.map(self._make, self.keys))
        self.coming = self._order_next()

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)

    def advance(self) -> int | None:
        """Exchange one sample; returns its slot, or None where the whole corpus is held."""
        if self.coming is None:
            return None
        slot = self.place.exchanges % self.hold
        key, future = self.coming
        self.keys[slot], self.held[slot] = key, future.result()
        self.place = Place(self.drawn, self.place.exchanges + 1, tuple(self.keys))
        self.coming = self._order_next()
        return slot

    def _order_next(self) -> tuple[str, Future[Held]] | None:
        if len(self.library.places) == self.hold:
            return None
        key = self._fresh()
        return key, self.pool.submit(self._make, key)

    def _fresh(self) -> str:
        """The next sample of the order that is not held already."""
        while (key := self._draw()) in self.keys:
            pass
        return key

    def _draw(self) -> str:
        self.drawn += 1
        return next(self.order)

    def _make(self, key: str) -> Held:
        return self.ready(self.library.read(key))
