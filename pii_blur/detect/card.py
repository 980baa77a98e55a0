"""`card.json`: what a model folder says about its model. Checked on reading, so that nothing later must guess."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pii_blur.detect.devices import DEVICES
from pii_blur.errors import MissingDependency
from pii_blur.labels import Label


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """Piecewise-linear, never falling map from a raw score to the share of such boxes that were right.

    Attributes:
        raw: raw scores, rising, 0 to 1.
        probability: what each means, 0 to 1, never falling.

    Raises:
        ValueError: knots that do not rise or lie outside 0..1.
    """

    raw: tuple[float, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        raw, probability = np.array(self.raw), np.array(self.probability)
        if raw.shape != probability.shape or len(raw) < 2:
            raise ValueError("a score curve needs as many probabilities as raw scores, at least two")
        if (np.diff(raw) <= 0).any() or (np.diff(probability) < 0).any():
            raise ValueError("a score curve must rise")
        if min(raw.min(), probability.min()) < 0 or max(raw.max(), probability.max()) > 1:
            raise ValueError("a score curve lies between 0 and 1")

    def __call__(self, scores: ArrayLike) -> NDArray[np.float32]:
        """Return calibrated scores for raw ones."""
        return np.interp(np.asarray(scores, np.float64), self.raw, self.probability).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What must be known to run a model.

    Attributes:
        folder: the model's folder.
        name, version, licence: for reports.
        file: the ONNX file in it.
        sha256: of that file, hex.
        size: side of the square input in pixels.
        labels: what each score column stands for.
        curves: score calibration, one per column.
        nms_iou: overlap above which, inside one view, the lower-scored of two boxes of a class is dropped.
        devices: those that it may run on, see `devices.DEVICES`; empty: all.
    """

    folder: Path
    name: str
    version: str
    licence: str
    file: Path
    sha256: str
    size: int
    labels: tuple[Label, ...]
    curves: tuple[ScoreCurve, ...]
    nms_iou: float
    devices: tuple[str, ...] = ()

    def check_made_for(self, device: str) -> None:
        """Make sure that the model may run on a device.

        Raises:
            MissingDependency: it is made for others.
        """
        if self.devices and device not in self.devices:
            raise MissingDependency(
                f"the model {self.name} is made for {' and '.join(self.devices)}, not for {device}; "
                "name another with --model (models/README.md says which is for GPUs)"
            )


def read_card(folder: Path) -> ModelCard:
    """Read and check `card.json` in a model folder.

    Raises:
        MissingDependency: no card, or one that is damaged or of a newer schema.
    """
    path = folder / "card.json"
    try:
        return _parse(folder, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise MissingDependency(f"the model folder {folder} has no readable card.json ({error.strerror})") from error
    except KeyError as error:
        raise MissingDependency(f"{path} lacks {error}; models/README.md says what a card holds") from error
    except (ValueError, TypeError) as error:
        raise MissingDependency(f"{path} is damaged: {error}; models/README.md says what a card holds") from error


def _parse(folder: Path, card: dict[str, Any]) -> ModelCard:
    if card["schema"] != 1:
        raise ValueError(f"schema {card['schema']} is not one this version reads")
    entry = card["input"]
    height, width = entry["size"]
    if (entry["dtype"], entry["layout"], entry["colour"]) != ("uint8", "NHWC", "RGB") or height != width:
        raise ValueError("the input must be square uint8 RGB in NHWC layout")
    if Path(card["file"]).name != card["file"]:
        raise ValueError("the model file must lie in the model's own folder")
    if not 0 < float(card["nms_iou"]) <= 1:
        raise ValueError("nms_iou lies between 0 and 1")
    labels = tuple(Label.from_word(word) for word in card["classes"])
    if len(set(labels)) != len(labels):
        raise ValueError("a class stands twice")
    devices = card.get("devices", [])
    if not isinstance(devices, list) or not set(devices) <= set(DEVICES):
        raise ValueError(f"devices must be a list of some of {', '.join(DEVICES)}")
    curves = (card["calibration"][word] for word in card["classes"])
    return ModelCard(
        folder=folder,
        name=str(card["name"]),
        version=str(card["version"]),
        licence=str(card["licence"]),
        file=folder / card["file"],
        sha256=str(card["sha256"]),
        size=int(width),
        labels=labels,
        curves=tuple(ScoreCurve(tuple(curve["raw"]), tuple(curve["probability"])) for curve in curves),
        nms_iou=float(card["nms_iou"]),
        devices=tuple(devices),
    )
