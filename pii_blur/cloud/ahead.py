"""Asks many slow questions at a time, and gives the answers in order. Knows nothing of what is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(ask: Callable[[T], R], questions: Iterable[T], width: int) -> Iterator[R]:
    """Yield `ask(question)` for each question, while the next ones are being asked.

    Args:
        ask: called in other threads; what it raises comes out here, in its turn.
        questions: drawn one at a time, `width` ahead of the answers.
        width: how many are asked at a time.
    """
    source = iter(questions)
    with ThreadPoolExecutor(width, thread_name_prefix="ahead") as pool:
        asked: deque[Future[R]] = deque(pool.submit(ask, question) for question in islice(source, width))
        try:
            while asked:
                answer = asked.popleft().result()
                asked.extend(pool.submit(ask, question) for question in islice(source, 1))
                yield answer
        finally:
            for future in asked:
                future.cancel()
