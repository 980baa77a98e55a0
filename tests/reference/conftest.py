"""These tests take minutes and gigabytes, so they run on demand only, and say so."""

from __future__ import annotations

import pytest

COMMAND = "reference/setup.sh, then python -m pytest -m reference tests/reference"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked `reference`, visibly, unless it was asked for."""
    if "reference" in config.getoption("markexpr"):
        return
    skip = pytest.mark.skip(reason=f"compares with the original's packages on demand: {COMMAND}")
    for item in items:
        if "reference" in item.keywords:
            item.add_marker(skip)
