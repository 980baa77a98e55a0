"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# A busy machine is slow; no test asserts how fast something is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real panoramas and metadata samples; the test is skipped, visibly, where it does not exist."""
    folder = Path(os.environ.get("PII_BLUR_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "eval").is_dir():
        pytest.skip(f"no evaluation data in {folder} (set PII_BLUR_SHARED)")
    return folder
