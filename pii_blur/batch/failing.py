"""What becomes of an earlier result in OUTPUT when its photo fails, and how a failure is told to others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pii_blur.batch.entry import Made, Recipe
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.results import PhotoError, PhotoResult

PASSING = frozenset(
    {
        *("missing", "permission", "unreadable", "changed", "detections", "preview", "exiftool", "write"),
        *("out_of_memory", "worker_died", "internal", "not_ours"),
    }
)
"""Codes of failures that say nothing about the photo: a disk, a program or the machine was the reason."""

OF_THE_PLACE = frozenset({"missing", "permission", "unreadable", "changed", "detections", "preview", "write"})
"""Codes of failures that cost next to nothing and end when somebody mends the place: no try of a photo is used up."""


def may_stay(earlier: Made, error: PhotoError, photo: FoundPhoto, recipe: Recipe) -> bool:
    """Whether the earlier result of a photo stays in OUTPUT though the photo has just failed.

    Args:
        earlier: what the journal knows of that result.
        error: why the photo failed.
        photo: as it was before it was read.
        recipe: how it was to be done.
    """
    # PRIVACY: what fails for good under new settings, or is another picture now, must not stand for the new result.
    return error.code in PASSING or (earlier.is_of(photo) and earlier.recipe.hides_like(recipe))


def without_paths(result: PhotoResult, folders: Iterable[Path]) -> PhotoResult:
    """Return `result` with files below `folders` named by their keys, for logs and reports that others may read."""
    if result.error is None:
        return result
    message = result.error.message
    for folder in folders:
        message = re.sub(rf"(?<![\w./-]){re.escape(str(folder) + os.sep)}", "", message)
    message = message.removeprefix(f"'{result.key}': ")
    return replace(result, error=replace(result.error, message=message))
