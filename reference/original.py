"""Starts one of the original's networks in its own environment, and reads what it makes of pictures.

Knows the environments' places and the small language that `imageai3.py` and `imageai2.py` speak, no network.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Package:
    """One of the original's packages.

    Attributes:
        title: for people.
        environment: folder of its environment.
        script: what runs in it.
        extra: folder of further packages that the script is told of; empty: none.
    """

    title: str
    environment: str
    script: str
    extra: str = ""


IMAGEAI_3 = Package("ImageAI 3.0.3, torchvision 0.28", "torch", "imageai3.py")
IMAGEAI_2_1_6 = Package("ImageAI 2.1.6, TensorFlow 2.21", "keras", "imageai2.py")
IMAGEAI_2_1_5 = Package("ImageAI 2.1.5, TensorFlow 2.21", "keras", "imageai2.py", "imageai-2.1.5")


def environments() -> Path:
    """Return the folder of the environments: `PII_BLUR_REFERENCE`, or `.reference` in the checkout."""
    return Path(os.environ.get("PII_BLUR_REFERENCE") or HERE.parent / ".reference")


def is_set_up() -> bool:
    """Whether `setup.sh` has been run."""
    folder = environments()
    return all((folder / part).is_dir() for part in ("torch/bin", "keras/bin", "imageai-2.1.5"))


def make_crops(count: int, size: int) -> NDArray[np.uint8]:
    """Return uint8 RGB (count, size, size, 3): patterns of all sizes, the same every time."""
    numbers = np.random.default_rng(1)
    crops = np.full((count, size, size, 3), 128, np.float32)
    for number in range(count):
        for cells in (4, 16, 64, 200):
            pattern = numbers.normal(0, 40, (cells, cells, 3)).astype(np.float32)
            crops[number] += cv2.resize(pattern, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(crops, 0, 255).astype(np.uint8)


class Running:
    """A network of the original in a process of its own; it has answered for all crops once it is entered."""

    def __init__(self, package: Package, folder: Path) -> None:
        """Prepare; `folder` holds crops.npy and gets weights and answers."""
        self._package = package
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Running:
        """Start, and wait for the answers.

        Raises:
            RuntimeError: the process failed; its last words are in the message.
        """
        places = environments()
        command = [str(places / self._package.environment / "bin" / "python"), str(HERE / self._package.script)]
        command.append(str(self._folder))
        if self._package.extra:
            command.append(str(places / self._package.extra))
        words = self._folder / f"{self._package.environment}{self._package.extra}.log"
        with words.open("w") as log:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True)
        self._wait_until_ready(words)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        process = self._running()
        process.communicate()  # closes its stdin, on which it leaves

    def seconds(self) -> float:
        """Let the network look at all crops again, and return how long it took."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    def _wait_until_ready(self, words: Path) -> None:
        process = self._running()
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "ready":
                return
        process.wait()
        raise RuntimeError(f"{self._package.title} failed: {words.read_text()[-2000:]}")

    def _running(self) -> Any:
        assert self._process is not None, "use it in a with"
        return self._process
