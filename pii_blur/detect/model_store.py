"""Where models lie, and the check that a model is the one its card describes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pii_blur.detect.card import ModelCard, read_card
from pii_blur.errors import MissingDependency

_WEIGHTS = (".h5", ".hdf5", ".pth", ".pt")
_PACKAGE = Path(__file__).resolve().parent.parent


def models_folder() -> Path:
    """Return the folder that holds the models: inside the package when installed, beside it in a checkout."""
    inside = _PACKAGE / "models"
    return inside if inside.is_dir() else _PACKAGE.parent / "models"


def known_models() -> list[str]:
    """Return the names of the models that are there, sorted."""
    folder = models_folder()
    if not folder.is_dir():
        return []
    # A name with a dot before it is one in the making.
    return sorted(card.parent.name for card in folder.glob("*/card.json") if not card.parent.name.startswith("."))


def weights_files() -> list[Path]:
    """Return the files of published weights that somebody put among the models, sorted by name."""
    folder = models_folder()
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in _WEIGHTS and not file.name.startswith("."))


def find_model(name: str | Path) -> ModelCard:
    """Return the card of a model whose file is there and unchanged.

    Args:
        name: a folder's name in `models/`, or a path to a model folder.

    Raises:
        MissingDependency: no such model, or its file is missing or not the one the card describes.
    """
    folder = models_folder() / name
    if not (folder / "card.json").is_file():
        folder = Path(name)
    if not (folder / "card.json").is_file():
        there = ", ".join(known_models()) or "none"
        if str(name) in (file.name for file in weights_files()) or folder.suffix.lower() in _WEIGHTS:
            raise MissingDependency(
                f"{name} is a file of weights, from which a model can be made once: pii-blur models add {name}; "
                f"models that are here: {there}"
            )
        raise MissingDependency(f"there is no model '{name}'; models that are here: {there}")
    card = read_card(folder)
    try:
        digest = hashlib.sha256(card.file.read_bytes()).hexdigest()
    except OSError as error:
        raise MissingDependency(f"the model file {card.file} cannot be read: {error.strerror}") from error
    if digest != card.sha256:
        raise MissingDependency(
            f"{card.file} is damaged or not the file its card describes (SHA-256 {digest[:12]}…, "
            f"expected {card.sha256[:12]}…); fetch it again"
        )
    return card
