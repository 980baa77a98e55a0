"""Packages with a technique, laid where Python finds them: what `pip install` would leave, without pip."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, package: str, technique: str, code: str) -> None:
    """Lay a module into `folder`, with the metadata that makes its function `draw` a technique."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    name = package.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pii_blur.techniques]\n{technique} = {package}:draw\n")
    (info / "RECORD").write_text(f"{package}.py,,\n")
