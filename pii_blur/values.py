"""The text of one option -> its value. Every error is a ValueError that says what is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pii_blur.cloud.address import Address, is_address, parse_address
from pii_blur.labels import Label

_ON, _OFF = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_switch(text: str) -> bool:
    """Return whether ``true`` or ``false`` was said, also as ``yes``, ``on``, ``1`` and their opposites.

    Raises:
        ValueError: neither.
    """
    word = text.strip().lower()
    if word not in (*_ON, *_OFF):
        raise ValueError(f"true or false is needed, not '{text}'")
    return word in _ON


def parse_path(text: str) -> Path:
    """Return a path; a ``~`` at its start is the home folder, as in a shell.

    Raises:
        ValueError: empty, or nobody's home is known.
    """
    if not text:
        raise ValueError("a path is needed, not ''")
    path = Path(text)
    if path.parts[:1] != ("~",):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"nobody's home folder is known for '{text}'") from error


def parse_model(text: str) -> str:
    """Return the name of a model or the path of its folder, which may begin with ``~``.

    Raises:
        ValueError: see `parse_path`.
    """
    return str(parse_path(text)) if text.startswith("~") else text


def parse_place(text: str) -> Path | Address:
    """Return a path, or the address of a place in a store, e.g. ``s3://bucket/street``.

    Raises:
        ValueError: an address of no store that is known, or see `parse_path`.
    """
    return parse_address(text) if is_address(text) else parse_path(text)


def parse_number(text: str) -> float:
    """Return a number.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"a number is needed, not '{text}'") from None


def parse_whole(text: str) -> int:
    """Return a whole number.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"a whole number is needed, not '{text}'") from None


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a function that takes one of `choices` and refuses everything else."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed, not '{text}'")
        return text

    return parse


def parse_prob(text: str) -> float:
    """Return PROB, e.g. ``40`` or ``37.5``.

    Raises:
        ValueError: not a number from 1 to 100.
    """
    try:
        percent = float(text)
    except ValueError:
        raise ValueError(f"a number from 1 to 100 is needed, not '{text}'") from None
    if not 1 <= percent <= 100:
        raise ValueError(f"a number from 1 to 100 is needed, not {text}")
    return percent


def parse_labels(text: str) -> tuple[Label, ...]:
    """Return the classes of e.g. ``person,car``, each once.

    Raises:
        ValueError: one is unknown.
    """
    return tuple(dict.fromkeys(Label.from_word(word) for word in text.split(",")))


def parse_thresholds(text: str) -> tuple[tuple[Label, float], ...]:
    """Return classes and scores (0 to 1) of e.g. ``person=25,car=60``.

    Raises:
        ValueError: not of that form.
    """
    return tuple(_parse_threshold(word) for word in text.split(","))


def _parse_threshold(text: str) -> tuple[Label, float]:
    word, sign, percent = text.partition("=")
    if not sign:
        raise ValueError(f"CLASS=PERCENT is needed, e.g. person=25, not '{text}'")
    return Label.from_word(word), parse_prob(percent) / 100


def parse_kernel(text: str) -> tuple[int, float, int]:
    """Return the numbers of understand.ai's ``K,SIGMA,BOX``, e.g. ``65,3,19``.

    Raises:
        ValueError: not of that form.
    """
    try:
        size, cut, box = text.split(",")
        return int(size), float(cut), int(box)
    except ValueError:
        raise ValueError(f"K,SIGMA,BOX is needed, e.g. 65,3,19, not '{text}'") from None


def parse_extensions(text: str) -> tuple[str, ...]:
    """Return the file name endings of e.g. ``jpg,.PNG``, lower case, each once."""
    return tuple(dict.fromkeys(word.strip().removeprefix(".").lower() for word in text.split(",")))
