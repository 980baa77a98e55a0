"""What the README shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pii_blur.version import __version__
from tests.integration.test_pipeline import write_jpeg

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python example, word by word, on a photo of the name that it uses."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    sky = np.broadcast_to(np.linspace(90, 220, 320, dtype=np.uint8)[:, None, None], (320, 640, 3))
    write_jpeg(tmp_path / "street.jpg", sky)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == "clean 0 0\n"
    assert (tmp_path / "public" / "street.jpg").exists()


def test_every_link_leads_somewhere() -> None:
    """No page of the documentation points to a file that is not there."""
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "models").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_changelog_starts_with_this_version() -> None:
    """Version and changelog go together."""
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1] == __version__  # type: ignore[index]
