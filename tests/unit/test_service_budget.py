"""Photos that would not fit into memory together are done one after the other, and every one is done."""

from __future__ import annotations

import threading

import pytest

from pii_blur.http.budget import Budget


@pytest.mark.parametrize(("needs", "at_once"), [((40, 40), True), ((60, 60), False), ((500, 1), False), ((0, 0), True)])
def test_what_fits_is_done_together_and_the_rest_waits(needs: tuple[int, int], at_once: bool) -> None:
    """A budget of 100: also what is larger than all of it gets its turn."""
    budget, first_is_in, first_may_go, second_is_in = Budget(100), *(threading.Event() for _ in range(3))

    def first() -> None:
        with budget.lend(needs[0]):
            first_is_in.set()
            first_may_go.wait(10)

    def second() -> None:
        with budget.lend(needs[1]):
            second_is_in.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    first_is_in.wait(10)
    threads[1].start()
    assert second_is_in.wait(0.2 if not at_once else 10) == at_once
    first_may_go.set()
    for thread in threads:
        thread.join(10)
    assert second_is_in.is_set()
