"""Zones: directions that are always hidden (the tripod, a number plate in front of the camera) or never."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pii_blur.errors import UsageFailure
from pii_blur.sphere.quad import SphereQuad

ACTIONS = ("hide", "keep")


@dataclass(frozen=True, slots=True)
class Zone:
    """A box on the sphere, in the camera's own frame (it turns with the camera, as a car roof does).

    Attributes:
        action: ``hide`` (always hidden) or ``keep`` (never hidden, whatever is found there).
        yaw, pitch: degrees, centre of the box.
        width, height: degrees, 0 to 150.
        name: for people.

    Raises:
        ValueError: a value out of range.
    """

    action: str
    yaw: float
    pitch: float
    width: float
    height: float
    name: str = ""

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action is one of {', '.join(ACTIONS)}, not '{self.action}'")
        if not (-360 <= self.yaw <= 360 and -90 <= self.pitch <= 90):
            raise ValueError("yaw lies between -360 and 360, pitch between -90 and 90 degrees")
        if not (0 < self.width <= 150 and 0 < self.height <= 150):
            raise ValueError("width and height lie between 0 and 150 degrees")

    @property
    def quad(self) -> SphereQuad:
        """The zone as a quadrilateral."""
        return SphereQuad.from_angles(self.yaw, self.pitch, self.width, self.height)


def read_zones(path: Path) -> tuple[Zone, ...]:
    """Read a zones file: ``{"schema": 1, "zones": [{"action", "yaw", "pitch", "width", "height", "name"?}, ...]}``.

    Raises:
        UsageFailure: it cannot be read or is not of that form; names the file and the zone.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFailure(f"the zones file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageFailure(f"the zones file {path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != 1 or not isinstance(document.get("zones"), list):
        raise UsageFailure(f'the zones file {path} must look like {{"schema": 1, "zones": [...]}}; see docs/usage.md')
    return tuple(_parse(path, number, entry) for number, entry in enumerate(document["zones"], start=1))


def _parse(path: Path, number: int, entry: Any) -> Zone:
    wanted = {"action", "yaw", "pitch", "width", "height"}
    if not isinstance(entry, dict) or not wanted <= set(entry) <= wanted | {"name"}:
        raise UsageFailure(f"zone {number} in {path} needs {', '.join(sorted(wanted))} and may have name, nothing else")
    try:
        yaw, pitch, width, height = (float(entry[key]) for key in ("yaw", "pitch", "width", "height"))
        return Zone(str(entry["action"]), yaw, pitch, width, height, str(entry.get("name", "")))
    except (TypeError, ValueError) as error:
        raise UsageFailure(f"zone {number} in {path}: {error}") from error
