"""The evaluation of a model runs on folders of one's own and writes what it prints."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def test_evaluation_of_own_folders(tmp_path: Path) -> None:
    """Nobody is found in noise; a second run gives the same from the cache; curves and figures are there."""
    for folder in ("gt", "photos"):
        (tmp_path / folder).mkdir()
    noise = np.random.default_rng(5).integers(0, 255, (256, 512, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), noise)
    person = {"cls": "person", "yaw": 30, "pitch": 0, "w": 10, "h": 25, "id": 1}
    (tmp_path / "gt" / "a.json").write_text(json.dumps({"file": "a.jpg", "height": 256, "objects": [person]}))
    command = [sys.executable, str(ROOT / "benchmarks" / "evaluate.py"), str(tmp_path / "gt"), str(tmp_path / "photos")]
    command += ["--views", "fast", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    first, second = (subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(2))
    assert first.stdout == second.stdout
    assert "| 90 | 0.0 (0-79) |" in first.stdout
    with (tmp_path / "out" / "curve.csv").open() as file:
        areas = [float(row["false_area"]) for row in csv.DictReader(file) if row["score"] == "raw score"]
    assert len(areas) > 50
    assert areas == sorted(areas)
    assert (tmp_path / "out" / "curve.png").stat().st_size > 1000
    assert len(list((tmp_path / "cache").iterdir())) == 2  # what was found, and what that covers
