"""The real command over drawn photos whose people stand at known places, and what must hold after whatever happened."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.integration.test_batch_command import cmdline, descendants
from tests.scenes import PERSON_COLOURS, background

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 256, 128
PERSON = (96, 40, 128, 88)  # x0, y0, x1, y1
FAR = np.s_[:, :64]  # of the picture: far from the person, where every pixel stays


class Stage:
    """INPUT, OUTPUT and everything else of one test in one folder.

    Attributes:
        source, output: INPUT and OUTPUT.
        temporary: what the system's folder for temporary files is to the command.
    """

    def __init__(self, folder: Path) -> None:
        self.source, self.output, self.temporary = folder / "in", folder / "out", folder / "tmp"
        self.environment = os.environ | {"TMPDIR": str(self.temporary)}
        self.running: list[subprocess.Popen[str]] = []
        self._detections = folder / "detections"
        self._thumbnail = folder / "thumbnail.jpg"
        self._checked: dict[str, str] = {}
        for made in (self.source, self.output, self.temporary, self._detections):
            made.mkdir()
        self._thumbnail.write_bytes(_jpeg(cv2.resize(_drawn(0), (96, 48), interpolation=cv2.INTER_AREA)))

    def draw(self, *names: str, seed: int = 0) -> None:
        """Put photos into INPUT, each with a person in it and an unblurred thumbnail."""
        files = [self.source / name for name in names]
        for number, file in enumerate(files):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_jpeg(_drawn(seed + number)))
            region = {"class": "person", "box": list(PERSON)}
            detections = self._detections / file.relative_to(self.source).with_name(f"{file.name}.json")
            detections.parent.mkdir(parents=True, exist_ok=True)
            detections.write_text(json.dumps({"schema": 1, "width": WIDTH, "height": HEIGHT, "regions": [region]}))
        tag = ["exiftool", "-q", "-q", "-overwrite_original", f"-ThumbnailImage<={self._thumbnail}"]
        subprocess.run([*tag, *map(str, files)], check=True, timeout=300)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the command with one worker."""
        words = [str(self.source), str(self.output), "40", "--from-detections", str(self._detections)]
        command = [sys.executable, str(ROOT / "pii-blur.py"), *words, "--settle", "0", "--workers", "1", *options]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def finish(self, *options: str) -> tuple[int, str]:
        """Run the command to its end; return exit code and log."""
        return ended(self.start(*options))

    def close(self) -> None:
        """Kill what is left."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def results(self) -> dict[str, Path]:
        """Return the files in OUTPUT by name, half-written ones among them, the journal's folder aside."""
        found = (file for file in self.output.rglob("*") if file.is_file() and ".pii-blur" not in file.parts)
        return {file.relative_to(self.output).as_posix(): file for file in found}

    def has_begun(self) -> bool:
        """Whether the first photo is done."""
        return any(not Path(name).name.startswith(".pii-blur-") for name in self.results())

    def check(self, *, is_over: bool = True) -> None:
        """Make sure that nothing in OUTPUT is half written or unblurred.

        Args:
            is_over: the run has ended by itself. One that was killed may leave a temporary file, for its owner alone.
        """
        for name, file in self.results().items():
            if file.name.startswith(".pii-blur-"):
                assert not is_over, f"{name} was left over"
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, f"{name} may be read by others"
                continue
            status = file.stat()
            seen = f"{status.st_size}:{status.st_mtime_ns}"
            if self._checked.get(name) != seen:
                check_result(file.read_bytes(), (self.source / name).read_bytes(), name)
                assert self._thumbnail.read_bytes()[-500:] not in file.read_bytes(), f"{name} has its old thumbnail"
                self._checked[name] = seen
        if is_over:
            left = [file.relative_to(self.temporary) for file in self.temporary.rglob("*")]
            assert not left, f"unblurred thumbnails may lie in the temporary folder: {left}"

    def check_all_done_once(self) -> None:
        """Make sure that every photo has its result, and the journal one line for each that says so."""
        self.check()
        photos = {file.relative_to(self.source).as_posix() for file in self.source.rglob("*.jpg")}
        assert set(self.results()) == photos
        done = Counter(
            (line["key"], line["mtime_ns"]) for line in self.journal() if line.get("outcome") in ("blurred", "clean")
        )
        assert {key for key, _ in done} == photos
        assert set(done.values()) == {1}, "a photo was done and written down twice"

    def journal(self) -> list[dict[str, object]]:
        """Return the journal's lines that are whole."""
        lines = []
        for raw in (self.output / ".pii-blur" / "journal.jsonl").read_text().splitlines():
            try:
                lines.append(json.loads(raw))
            except ValueError:
                continue  # torn by a kill
        return lines


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a run; return exit code and log."""
    _, log = process.communicate(timeout=600)
    return process.returncode, log


def wait_until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.01)


def family(process: subprocess.Popen[str]) -> dict[int, bytes]:
    """Return the living descendants of a process and their command lines."""
    return {pid: line for pid in descendants(process.pid) if (line := cmdline(pid))}


def check_result(result: bytes, photo: bytes, name: str) -> None:
    """Make sure that a file in OUTPUT is the whole photo with the person hidden."""
    after, before = _pixels(result), _pixels(photo)
    assert after.shape == before.shape, name
    assert np.array_equal(after[FAR], before[FAR]), f"{name} is not the photo"
    x0, y0, x1, y1 = PERSON
    inner = np.s_[y0 + 8 : y1 - 8, x0 + 4 : x1 - 4]
    assert _contrast(before[inner]) > 20, "the drawing shows nobody"
    assert _contrast(after[inner]) < 5, f"{name} shows the person"


def _drawn(seed: int) -> NDArray[np.uint8]:
    pixels = background(WIDTH, HEIGHT, seed)
    x0, y0, x1, y1 = PERSON
    rows, columns = np.mgrid[y0:y1, x0:x1] // 4
    pixels[y0:y1, x0:x1] = np.array(PERSON_COLOURS, dtype=np.uint8)[(rows + columns) % 2]
    return pixels


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _pixels(data: bytes) -> NDArray[np.int16]:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB")).astype(np.int16)


def _contrast(pixels: NDArray[np.int16]) -> float:
    """Return how strongly the checks of the person still alternate."""
    return float(np.abs(np.diff(pixels[..., 0], n=1, axis=1)).mean() + np.abs(np.diff(pixels[..., 0], axis=0)).mean())
