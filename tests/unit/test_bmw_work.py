"""What a worker does for BMW's contract: a program that is broken is no photo's fault there either."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pii_blur.errors import MissingDependency
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish
from pii_blur.http.bmw.work import AnonymiseWork
from pii_blur.labels import DEFAULT_LABELS
from pii_blur.photo.exiftool import check_exiftool, open_exiftool
from pii_blur.pipeline import Tools
from pii_blur.results import Job
from pii_blur.settings import Settings
from tests.scenes import ColourDetector
from tests.service import panorama


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for exiftool")
def test_a_broken_exiftool_is_no_photos_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every caller is told that the photo is bad, and nobody that the service can do none."""
    broken = tmp_path / "bin" / "exiftool"
    broken.parent.mkdir()
    broken.write_text(f'#!/bin/sh\n[ "$1" = -ver ] && exec {check_exiftool()} -ver\nread line; exit 0\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    source = tmp_path / "private" / "request" / "photo.jpg"
    source.parent.mkdir(parents=True)
    source.write_bytes(panorama())
    words = tuple(label.word for label in DEFAULT_LABELS)
    wishes = tuple(Wish(Model(BUILT_IN, "street-retinanet", words), word, "blackening", 1) for word in words)
    work = AnonymiseWork(wishes, Settings(views="fast"), max_pixels=10**7, search_s=60)
    destination = source.with_name("blurred.jpg")
    with open_exiftool(timeout_s=20) as exiftool, pytest.raises(MissingDependency, match="install it again"):
        work(Job(source, destination, "photo"), Tools(ColourDetector(), exiftool))
    assert not destination.exists()
