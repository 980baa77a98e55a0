"""The JSON configuration of one request: every entry is checked, and every mistake told. Knows no models."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from pii_blur.http.bmw.refusal import Mistakes

MAX_BYTES = 64 << 10
MAX_ENTRIES = 50

InferenceType = Literal["detection", "segmentation"]


def _folded(value: object) -> object:
    """Return a word in lower case: clients write these with capitals, too."""
    return value.casefold() if isinstance(value, str) else value


# No control characters: they end in messages and, as part of an address, in requests to an inference server.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class SensitiveInfo(BaseModel):
    """What is hidden, and how.

    Attributes:
        model_name: of the model that finds it.
        class_name: what is hidden, one of the model's classes.
        anonymization_technique: lower case.
        inference_type: whether the model finds boxes or masks.
        anonymization_degree: 0 to 1; what it means is the technique's.
        url: of the inference server that has the model; by default any that has it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model_name: Name
    class_name: Name
    anonymization_technique: Annotated[Name, BeforeValidator(_folded)]
    inference_type: Annotated[InferenceType, BeforeValidator(_folded)]
    anonymization_degree: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    url: Name | None = None


class Configuration(BaseModel):
    """The whole configuration of a request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sensitive_info: Annotated[list[SensitiveInfo], Field(min_length=1, max_length=MAX_ENTRIES)]


def read_configuration(data: bytes) -> Configuration:
    """Return a checked configuration.

    Raises:
        Mistakes: all there are, each with the number of its entry.
    """
    if len(data) > MAX_BYTES:
        raise Mistakes([f"the configuration has {len(data)} bytes; the most is {MAX_BYTES}"])
    try:
        document = json.loads(data, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one of the former
        raise Mistakes([f"the configuration is not JSON: {error}"]) from error
    try:
        return Configuration.model_validate(document)
    except ValidationError as error:
        raise Mistakes([_told(dict(mistake)) for mistake in error.errors()]) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; refuse one in which a name stands twice: one of the two would be left out without a word."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name[:40]}' stands twice in one object")
    return dict(pairs)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _told(mistake: dict[str, Any]) -> str:
    """Return e.g. ``sensitive info 2: anonymization_degree: Input should be less than or equal to 1``."""
    place = list(mistake["loc"])
    words = []
    if place[:1] == ["sensitive_info"] and len(place) > 1:
        words.append(f"sensitive info {place[1] + 1}")  # counted from 1, as clients know it
        place = place[2:]
    words += [str(part)[:60] for part in place]
    return ": ".join([*words, str(mistake["msg"])])
