"""INPUT and OUTPUT as they were when a run began, to notice that a disk or a network folder has gone under way."""

from __future__ import annotations

import os
from pathlib import Path

from pii_blur.batch.places import Places
from pii_blur.errors import CannotWrite, NoPhotos


class Anchors:
    """Where a mount goes, an empty folder of the same name stays behind; so it is identities that are compared."""

    def __init__(self, places: Places) -> None:
        """Take note of both; OUTPUT exists by now.

        Raises:
            NoPhotos, CannotWrite: one cannot be looked at.
        """
        self._places = places
        self._input_device = -1
        self._output = (-1, -1)
        device, output = self._device(), _identity(places.output)
        if device is None:
            raise self._input_has_gone()
        if output is None:
            raise self._output_has_gone()
        self._input_device, self._output = device, output

    def check_input(self) -> None:
        """Make sure that INPUT is still there.

        Raises:
            NoPhotos: it is not.
        """
        if self._device() != self._input_device:
            raise self._input_has_gone()

    def check_output(self) -> None:
        """Make sure that OUTPUT is still the same folder.

        Raises:
            CannotWrite: it is not.
        """
        if _identity(self._places.output) != self._output:
            raise self._output_has_gone()

    def _device(self) -> int | None:
        """Return the device of INPUT, None if it is not there."""
        root = self._places.root
        try:
            if self._places.only is None:
                with os.scandir(root) as entries:
                    next(entries, None)  # what a lost network folder still knows by heart ends here
            return root.stat().st_dev
        except OSError:
            return None

    def _input_has_gone(self) -> NoPhotos:
        return NoPhotos(f"INPUT '{self._places.root}' has gone; bring it back and run the same command again")

    def _output_has_gone(self) -> CannotWrite:
        return CannotWrite(f"OUTPUT '{self._places.output}' has gone; bring it back and run the same command again")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
