"""What every detector can do. The pipeline knows only this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.detections import Detections
from pii_blur.detect.devices import DEFAULT_DEVICE, open_session
from pii_blur.detect.model_store import find_model
from pii_blur.detect.retinanet import RetinaNet
from pii_blur.labels import Label


class Detector(Protocol):
    """Finds things in square crops; several threads may ask at once."""

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""

    @property
    def name(self) -> str:
        """Name and version, for reports and for the mark in the photo."""

    @property
    def sha256(self) -> str:
        """Of the model file; part of what makes a photo done."""

    def detect(self, crop: NDArray[np.uint8], thresholds: Mapping[Label, float]) -> Detections:
        """Return what is found in a uint8 RGB (size, size, 3) crop.

        Args:
            crop: the picture.
            thresholds: least calibrated score per wanted label; other labels are not looked for.
        """

    def rest(self) -> None:
        """Give back the memory that only searching needs, hundreds of megabytes; costs the time of one crop."""


def load_detector(model: str | Path, device: str = DEFAULT_DEVICE, *, threads: int = 1) -> Detector:
    """Open a model by name or folder.

    Args:
        model: see `find_model`.
        device: one of `devices.DEVICES`.
        threads: how many threads will ask at once.

    Raises:
        MissingDependency: it is not there, damaged, not runnable here or not made for this device, or there is no such
            device.
    """
    card = find_model(model)
    card.check_made_for(device)
    return RetinaNet(card, open_session(card.file, device, threads=threads))
