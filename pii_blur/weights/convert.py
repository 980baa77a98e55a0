"""A file of published weights -> a model folder as the others: network, card, README."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pii_blur.errors import CannotWrite, UsageFailure
from pii_blur.labels import Label
from pii_blur.weights.families import Family
from pii_blur.weights.graph import build_graph, import_onnx
from pii_blur.weights.source import Source, read_source

DEFAULT_SIZE = 800
"""Side of the input in pixels, as the original packages enlarge every picture to at least that."""

_SIZES = range(320, 1601, 32)


def convert(
    file: Path,
    folder: Path,
    *,
    size: int = DEFAULT_SIZE,
    name: str = "",
    is_replacing: bool = False,
    check: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Make a model folder of a file of weights and return its path.

    Args:
        file: weights of torchvision's or keras-retinanet's RetinaNet with a ResNet-50.
        folder: the folder of models to put it in; made if missing.
        size: side of the square input in pixels, a multiple of 32.
        name: of the new folder; by default after network and size.
        is_replacing: replace a model of that name.
        check: called with the finished folder before it gets its name; what it raises is passed on.

    Raises:
        UsageFailure: the file cannot be used, the size or name is impossible, or a model of that name is there.
        MissingDependency: onnx or h5py is missing.
        CannotWrite: the folder cannot be written.
    """
    import_onnx()
    source = read_source(file)
    target = choose_target(folder, source.family, size=size, name=name, is_replacing=is_replacing)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pii-blur-", dir=folder) as work:
            made = Path(work) / "new"
            made.mkdir()
            _write(made, source, size, target.name)
            check(made)
            if target.exists():
                target.rename(Path(work) / "old")
            made.rename(target)
    except OSError as error:
        raise CannotWrite(f"{folder} cannot be written: {error.strerror or error}") from error
    return target


def choose_target(folder: Path, family: Family, *, size: int, name: str, is_replacing: bool) -> Path:
    """Return where the new model will lie; see `convert`.

    Raises:
        UsageFailure: the size or name is impossible, or a model of that name is there.
    """
    if size not in _SIZES:
        raise UsageFailure(f"--size: a multiple of 32 from {_SIZES[0]} to {_SIZES[-1]} is needed, not {size}")
    if name and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise UsageFailure(f"--name: letters, digits, '.', '_' and '-' make a name, not '{name}'")
    target = folder / (name or f"{family.name}-{size}")
    if target.exists() and not is_replacing:
        raise UsageFailure(f"{target} is there already; --force replaces it, --name gives the new one another name")
    return target


def _write(folder: Path, source: Source, size: int, name: str) -> None:
    graph = build_graph(source.layers, source.family, size, tuple(Label))
    _write_file(folder / "model.onnx", graph)
    card = _card(source, size, name, hashlib.sha256(graph).hexdigest())
    _write_file(folder / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    _write_file(folder / "README.md", _readme(source, size, name).encode())


def _write_file(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _card(source: Source, size: int, name: str, digest: str) -> dict[str, Any]:
    words = [label.word for label in Label]
    # Identity: what such a score is worth on panoramas has not been measured.
    curve = {"raw": [0.0, 1.0], "probability": [0.0, 1.0]}
    return {
        "schema": 1,
        "name": name,
        "version": source.sha256[:8],
        "architecture": "RetinaNet, ResNet-50-FPN 256",
        "file": "model.onnx",
        "sha256": digest,
        "input": {"name": "images", "dtype": "uint8", "layout": "NHWC", "colour": "RGB", "size": [size, size]},
        "outputs": {"boxes": "xyxy, pixels of the crop", "scores": "sigmoid per class, raw, not calibrated"},
        "classes": words,
        "nms_iou": source.family.nms_iou,
        "calibration": dict.fromkeys(words, curve),
        "licence": source.family.licence,
        "training": {
            "data": "COCO 2017 (annotations CC BY 4.0, pictures under the terms of Flickr)",
            "labels_by": "hand, by the makers of COCO",
            "converted_from": {"file": source.file.name, "sha256": source.sha256, "of": source.family.homepage},
        },
    }


def _readme(source: Source, size: int, name: str) -> str:
    family = source.family
    return f"""# {name}

Converted by `pii-blur models add` from `{source.file.name}`: {family.title}.

| | |
|---|---|
| finds | {", ".join(f"`{label.word}`" for label in Label)}; the other classes were cut off |
| input | uint8 RGB, {size} x {size} |
| weights | {family.homepage}, SHA-256 `{source.sha256}` |
| licence | {family.licence}, that of the package which published them |
| trained on | COCO 2017: annotations CC BY 4.0, pictures under the terms of Flickr |

## Known limits

- Scores are **not calibrated**: PROB is compared with the network's own score, which need not mean on panoramas what it
  means in models that are calibrated. Measure before you rely on it.
- It was trained on photos of everyday life, not on panoramas. How much it finds in them was not measured by those who
  wrote this converter; `docs/quality.md` of pii-blur says how to.
- It costs several times as much as the model that ships with pii-blur, and the more the larger its input.
"""
