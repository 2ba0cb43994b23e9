"""Items made ahead of their use, in a thread of their own.

Decoders, detectors and encoders release Python's lock while they work: a chain of generators, each
a few items ahead of the next, keeps several cores busy and gives exactly what one thread gives.
"""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

END = object()


def ahead(items: Generator[Item], count: int = 4) -> Generator[Item]:
    """The items in order, `count` of them asked for before they are used.

    What goes wrong there is raised here, in its place. Closing this generator closes `items`.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            while True:
                while len(waiting) < count:
                    waiting.append(thread.submit(next, items, END))
                item = waiting.popleft().result()
                if item is END:
                    return
                yield item
        finally:
            for future in waiting:
                future.cancel()
            thread.submit(items.close).result()
