"""Long tests run only when they are asked for; the others beside them are short versions of the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stage import Stage


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "crash" in (config.getoption("markexpr") or ""):
        return
    for item in items:
        if item.get_closest_marker("crash"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; run: pytest tests/crash -m crash"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A drawn INPUT, and the real command to run over it."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()
