"""Items made in another thread are the same items, in the same order, with the same endings."""

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from core.ahead import ahead


def counted(stop: int, log: list[str]) -> Generator[int, None, None]:
    try:
        for index in range(stop):
            log.append(threading.current_thread().name)
            yield index
    finally:
        log.append("closed")


def test_the_items_are_all_there_in_order_and_from_one_other_thread() -> None:
    """Kills a pool that overtakes itself, an end lost or given twice, and work done here."""
    for stop in (0, 1, 3, 4, 5, 50):
        log: list[str] = []
        assert list(ahead(counted(stop, log))) == list(range(stop))
        assert log[-1] == "closed"
        assert threading.current_thread().name not in log
        assert len(set(log[:-1])) <= 1


def test_no_more_is_made_than_was_asked_for() -> None:
    """Kills a thread that decodes the whole clip into memory."""
    log: list[str] = []
    source = counted(100, log)
    with closing(ahead(source, 3)) as items:
        assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        assert len(log) <= 5 + 3
    assert log[-1] == "closed"


def test_an_error_comes_in_its_place() -> None:
    """Kills an error that is swallowed, or raised before the items made ahead of it."""

    def failing() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise ValueError("damaged")

    items = ahead(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(items)


def test_a_chain_closes_from_the_last_to_the_first() -> None:
    """Kills threads that outlive an interrupted chain."""
    before = threading.active_count()
    log: list[str] = []
    with closing(ahead(ahead(counted(1000, log)))) as items:
        next(items)
    assert log[-1] == "closed"
    assert threading.active_count() == before
