"""One private folder for each request, gone with it.

They lie in the private folder of this process (`photo.private_folder`), mode 0700, which is removed when the process
ends and, if it was killed, at the next start of any pii-blur.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

KEY = "photo"
"""What every photo is called in results, logs and messages: nobody's file name gets that far."""


class Workspace:
    """A folder with the photo of one request, its result and what is written beside it.

    Attributes:
        path: the folder.
    """

    def __init__(self, base: Path) -> None:
        self.path = Path(tempfile.mkdtemp(dir=base))

    @property
    def photo(self) -> Path:
        """Where the photo lies as it came."""
        return self.path / KEY

    @property
    def result(self) -> Path:
        """Where the finished photo goes."""
        return self.path / "result"

    @property
    def side(self) -> Path:
        """Folder for what else the work leaves."""
        return self.side_of(self.photo)

    @staticmethod
    def side_of(photo: Path) -> Path:
        """Return the side folder of the workspace that `photo` lies in."""
        return photo.with_name("side")

    def detections(self) -> dict[str, Any]:
        """Return what was found, as docs/detections.md describes it."""
        document: dict[str, Any] = json.loads((self.side / f"{KEY}.json").read_text(encoding="ascii"))
        return document

    def remove(self) -> None:
        """Remove it with everything in it."""
        # PRIVACY: it holds the photo unblurred.
        shutil.rmtree(self.path, ignore_errors=True)
