"""Errors survive the way between processes, and each has its line in the documentation."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pii_blur import errors
from pii_blur.errors import ExitCode, PhotoFailure, RunFailure

ROOT = Path(__file__).resolve().parents[2]


def codes_in_the_source() -> Iterator[str]:
    """Yield every code that stands as a literal in `PhotoFailure(message, code)` or `PhotoError(code, ...)`."""
    place = {"PhotoFailure": 1, "PhotoError": 0}
    for module in (ROOT / "pii_blur").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place:
                arguments = node.args[place[node.func.id] :][:1]
                arguments += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                yield from (one.value for one in arguments if isinstance(one, ast.Constant))


def test_every_code_is_documented() -> None:
    """Whoever meets a code in a report finds out what to do."""
    documented = set(
        re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    found = set(codes_in_the_source())
    assert len(found) > 10
    assert found <= documented


def test_failures_survive_pickling() -> None:
    """A failure in a worker arrives whole."""
    failure = pickle.loads(pickle.dumps(PhotoFailure("street.jpg is empty", "empty", "read")))
    assert (failure.message, failure.code, failure.stage) == ("street.jpg is empty", "empty", "read")
    assert str(failure) == "street.jpg is empty"


@pytest.mark.parametrize("error", RunFailure.__subclasses__(), ids=lambda error: error.__name__)
def test_every_run_failure_has_its_own_exit_code(error: type[RunFailure]) -> None:
    """Scripts can tell one from another."""
    assert error.exit_code not in (ExitCode.OK, ExitCode.INTERNAL_ERROR, ExitCode.SOME_PHOTOS_FAILED)
    others = [one for one in RunFailure.__subclasses__() if one is not error]
    assert error.exit_code not in [one.exit_code for one in others]
    assert error.__name__ in (errors.__doc__ or "")
