"""No room: in OUTPUT, for the journal, for temporary files. The run ends with 6, and goes on once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.stage import Stage, ended, wait_until

PHOTOS = [f"{number:02}.jpg" for number in range(12)]
PLENTY = "64m"

Mount = Callable[[Path, str], None]


@pytest.fixture
def disk(stage: Stage) -> Iterator[Mount]:
    """Return a function that puts a disk of a size over a folder, or changes its size."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> None:
        options = f"remount,size={size}" if folder in mounted else f"size={size},mode=755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"small disks can only be mounted by root: {done.stderr.decode().strip()}")
        mounted.append(folder)

    yield mount
    stage.close()
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


# A photo's result has about 30 KB here, and before it gets its name it lies beside nothing but the journal.
@pytest.mark.parametrize(
    "size", ["160k", *(pytest.param(f"{size}k", marks=pytest.mark.crash) for size in range(64, 400, 12))]
)
def test_full_output_ends_the_run_and_room_lets_it_go_on(stage: Stage, disk: Mount, size: str) -> None:
    """Wherever the last byte falls: in a photo, in the journal."""
    stage.draw(*PHOTOS)
    disk(stage.output, size)
    code, log = stage.finish()
    if code:
        assert code == 6, log
        assert "No space left" in log or "is full" in log
    stage.check()
    disk(stage.output, PLENTY)
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


@pytest.mark.crash
def test_full_temporary_folder_ends_the_run(stage: Stage, disk: Mount) -> None:
    """Filled by others while photos are done."""
    stage.draw(*PHOTOS)
    disk(stage.temporary, "4m")
    process = stage.start()
    wait_until(stage.has_begun, "the first photo")
    filling = stage.temporary / "from somebody else"
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(bytes(4096)):
            pass
    code, log = ended(process)
    filling.unlink()
    stage.check()
    if code == 0:
        stage.check_all_done_once()
        pytest.skip("all photos were done before the disk was full")
    assert code == 6, log
    assert "temporary folder" in log
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


def test_temporary_folder_that_is_full_from_the_start_is_said_before_any_photo(stage: Stage, disk: Mount) -> None:
    """Nothing is in OUTPUT, no photo is called failed."""
    stage.draw(*PHOTOS[:2])
    disk(stage.temporary, "16k")
    (stage.temporary / "from somebody else").write_bytes(bytes(12 << 10))
    code, log = stage.finish()
    (stage.temporary / "from somebody else").unlink()
    assert code == 6, log
    assert not stage.results()
    assert ": failed:" not in log
