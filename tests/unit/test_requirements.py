"""What is declared twice agrees, and no model ships without its papers."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted(path for path in (ROOT / "models").iterdir() if path.is_dir())


def test_requirements_equal_the_dependencies() -> None:
    """`pip install -r requirements.txt` and `pip install .` bring the same packages."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() == declared


def test_there_is_a_model() -> None:
    """A fresh clone works without a download."""
    assert any((folder / "model.onnx").is_file() for folder in MODELS)


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_every_model_states_licence_data_and_checksum(folder: Path) -> None:
    """A model folder tells machines and people what it is, and holds the very file that it describes."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["name"] == folder.name
    assert card["licence"]
    assert card["training"]["data"]
    assert card["training"]["labels_by"]
    assert card["sha256"] == hashlib.sha256((folder / card["file"]).read_bytes()).hexdigest()
    assert card["licence"] in (folder / "README.md").read_text(encoding="utf-8")


def test_licence_is_the_whole_agpl() -> None:
    """LICENSE.txt is the text of the Free Software Foundation, letter for letter."""
    text = (ROOT / "LICENSE.txt").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0"
