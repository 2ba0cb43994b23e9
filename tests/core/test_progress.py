"""Progress: what a step says of the rest, and who prints it when."""

import io

import pytest

from core.progress import Console, Silent, Step, reported


@pytest.mark.parametrize(
    ("index", "total", "seconds", "left"),
    [(1, 4, 10.0, 30.0), (4, 4, 10.0, 0.0), (0, 4, 0.0, float("inf")), (0, 0, 1.0, 0.0)],
)
def test_the_rest_takes_as_long_as_its_share(
    index: int, total: int, seconds: float, left: float
) -> None:
    """Kills an eta that is the whole time, a division by 0 at the start or in an empty job."""
    assert Step("job", index, total, seconds).eta_seconds == pytest.approx(left)


class Kept(Silent):
    def __init__(self) -> None:
        self.steps: list[Step] = []

    def step(self, step: Step) -> None:
        self.steps.append(step)


def test_items_pass_unchanged_and_are_counted_after_use() -> None:
    """Kills counting before the work is done, a count from 0 and a total below the count."""
    kept = Kept()
    used = []
    for item in reported("abc", kept, "read", 2):
        assert len(kept.steps) == len(used)
        used.append(item)
    assert used == ["a", "b", "c"]
    assert [(s.index, s.total) for s in kept.steps] == [(1, 2), (2, 2), (3, 3)]


def test_a_job_that_breaks_off_reports_no_more() -> None:
    """Kills a step for an item whose use failed."""
    kept = Kept()
    for item in reported([1, 2], kept, "read", 2):
        if item == 2:
            break
    assert len(kept.steps) == 1


def test_a_log_gets_the_last_step_and_little_else() -> None:
    """Kills a line for every step in a log, escape codes there, and a lost last line."""
    stream = io.StringIO()
    console = Console(stream)
    console.last_seconds = float("inf")
    for index in range(1, 101):
        console.step(Step("fit", index, 100, 0.1 * index, {"loss": 0.12345}))
    console.say("done")
    assert stream.getvalue() == "fit: 100/100 (100%), 10 s loss 0.1235\ndone\n"


def test_a_terminal_line_is_rewritten_and_closed() -> None:
    """Kills text printed into the middle of a live line."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    console = Console(stream)
    console.last_seconds = -1e9
    console.step(Step("fit", 1, 2, 1.0))
    console.say("note")
    assert stream.getvalue() == "\r\x1b[Kfit: 1/2 (50%), 1 s left\nnote\n"
