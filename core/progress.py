"""Loops yield `Step`; reporters print. Nothing between equations writes to a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TextIO, TypeVar, runtime_checkable

Item = TypeVar("Item")


@dataclass(frozen=True)
class Step:
    """One finished step of a long job: `index` of `total` done, after `seconds`."""

    job: str
    index: int
    total: int
    seconds: float
    terms: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.index / self.total if self.total else 1.0

    @property
    def eta_seconds(self) -> float:
        return self.seconds * (1.0 / self.share - 1.0) if self.share > 0 else float("inf")


@runtime_checkable
class Reporter(Protocol):
    def step(self, step: Step) -> None: ...

    def say(self, text: str) -> None: ...


class Silent:
    """Reports nothing (`-q`, library use, tests)."""

    def step(self, step: Step) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Console:
    """One line a job, rewritten in place on a terminal, every ten seconds elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.last_seconds = 0.0
        self.open_line = False

    def step(self, step: Step) -> None:
        now = time.monotonic()
        finished = step.index >= step.total
        if not finished and now - self.last_seconds < (0.2 if self.live else 10.0):
            return
        self.last_seconds = now
        terms = " ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
        clock = f"{step.seconds:.0f} s" if finished else f"{step.eta_seconds:.0f} s left"
        line = f"{step.job}: {step.index}/{step.total} ({step.share:.0%}), {clock} {terms}".rstrip()
        self.stream.write(f"\r\033[K{line}" if self.live else line + "\n")
        self.open_line = self.live
        if finished:
            self._close_line()
        self.stream.flush()

    def say(self, text: str) -> None:
        self._close_line()
        self.stream.write(text + "\n")
        self.stream.flush()

    def _close_line(self) -> None:
        if self.open_line:
            self.stream.write("\n")
            self.open_line = False


def reported(items: Iterable[Item], reporter: Reporter, job: str, total: int) -> Iterator[Item]:
    """Pass `items` through, reporting a `Step` after each has been used."""
    start = time.monotonic()
    for index, item in enumerate(items, start=1):
        yield item
        reporter.step(Step(job, index, max(total, index), time.monotonic() - start))
