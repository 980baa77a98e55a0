"""The names that other people's programs may rely on."""

from __future__ import annotations

import inspect
from importlib import import_module

import pii_blur


def test_every_public_name_is_there() -> None:
    """`__all__` promises nothing that cannot be imported, and is sorted so that a change shows in one line."""
    assert [name for name in pii_blur.__all__ if not hasattr(pii_blur, name)] == []
    assert pii_blur.__all__ == sorted(pii_blur.__all__)


def test_main_names_are_public() -> None:
    """The four names of the README are exported."""
    assert {"blur_photo", "find_regions", "hide_regions", "Settings"} <= set(pii_blur.__all__)


def test_public_names_are_documented() -> None:
    """Every public function and class says what it does, and every public function types all it takes and returns."""
    for name in pii_blur.__all__:
        thing = getattr(pii_blur, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name} has no docstring"
        if inspect.isfunction(thing):
            given = set(inspect.signature(thing).parameters) | {"return"}
            assert given <= set(thing.__annotations__), f"{name} is not fully typed"


def test_command_line_is_what_the_package_metadata_starts() -> None:
    """The installed command, `python -m pii_blur` and the launcher all end in `cli.main`."""
    assert callable(import_module("pii_blur.cli").main)
