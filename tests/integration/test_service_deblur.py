"""Parts that were blurred with doubt: kept only where the operator wants it, unreadable with one half, gone in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pii_blur.errors import AlreadyRunning, CannotWrite
from pii_blur.http.panoramax import contract
from pii_blur.http.panoramax.vault import Vault
from pii_blur.photo.metadata import claim_in
from pii_blur.photo.publish import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from pii_blur.settings import Settings
from tests.service import Caller, decoded, panorama, parts, purple, running


@pytest.fixture(scope="module")
def photo() -> bytes:
    return panorama()


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Path]]:
    """A service that keeps parts, and the folder; photos with ``test:doubt`` give boxes of little score."""
    folder = tmp_path_factory.mktemp("keep")
    with running(keep_folder=folder, hiding=Settings(min_score=0.05)) as caller:
        yield caller, folder


def doubtful(photo: bytes) -> bytes:
    return photo + b"test:doubt"


def test_nothing_is_kept_unless_both_want_it(keeper: tuple[Caller, Path], photo: bytes) -> None:
    """Neither without the request's keep=1 nor without the operator's folder; and never what is sure."""
    service, folder = keeper
    assert "salt" not in json.loads(service.blur(doubtful(photo)).headers["x-sgblur"])
    with running() as other:
        answer = other.blur(doubtful(photo), params={"keep": "1"})
        assert answer.status_code == 200
        assert "salt" not in json.loads(answer.headers["x-sgblur"])
        refused = other("POST", "/deblur/", params={"idx": 0, "salt": "x"}, files={"picture": photo})
        assert (refused.status_code, refused.json()["code"]) == (403, "nothing_kept")
    assert {file.name for file in folder.iterdir()} == {"secret", "lock"}
    sure = service.blur(photo, params={"keep": "1"})
    about = json.loads(sure.headers["x-sgblur"])
    assert about["info"][0]["confidence"] >= 0.5
    asked = {"idx": 0, "salt": about.get("salt", "")}
    assert service("POST", "/deblur/", params=asked, files={"picture": sure.content}).json()["code"] == "not_kept"


def test_a_doubtful_part_comes_back_alone(keeper: tuple[Caller, Path], photo: bytes) -> None:
    """The thing that was asked for is as it was; everything else stays blurred; the key is needed."""
    service, folder = keeper
    answer = service.blur(doubtful(photo), params={"keep": "1"}, headers={"Accept": "multipart/form-data"})
    found = parts(answer)
    blurred, blurring_id = found["image"], json.loads(found["metadata"])["blurring_id"]
    about = json.loads(service.blur(doubtful(photo), params={"keep": "1"}).headers["x-sgblur"])["info"]
    index, (left, top, right, bottom) = next((k, one["bbox"]) for k, one in enumerate(about) if one["bbox"][0] > 200)
    assert right < 450
    files = {"picture": ("picture.jpg", blurred, "image/jpeg")}
    restored = service("POST", "/deblur/", params={"idx": index, "salt": blurring_id}, files=files)
    assert restored.status_code == 200, restored.text
    assert claim_in([blurred]) is not None
    assert claim_in([restored.content]) is None  # --trust-mark must not take for hidden what is to be seen again
    before, after = purple(decoded(photo)), purple(decoded(restored.content))
    near = np.s_[top - 8 : bottom + 8, left - 8 : right + 8]
    assert after[near].sum() > 0.8 * before[near].sum() > 100
    elsewhere = np.ones_like(before)
    elsewhere[near] = False
    assert not after[elsewhere].any()
    for wrong in (blurring_id[:-4] + "AAAA", blurring_id[4:], "", "%%%", "A" * 64):
        refused = service("POST", "/deblur/", params={"idx": index, "salt": wrong}, files=files)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_kept")
    assert service("POST", "/deblur/", params={"idx": 99, "salt": blurring_id}, files=files).status_code == 404
    small = {"picture": ("picture.jpg", panorama(width=256), "image/jpeg")}
    other = service("POST", "/deblur/", params={"idx": index, "salt": blurring_id}, files=small)
    assert (other.status_code, other.json()["code"]) == (422, "other_photo")
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert b"PNG" not in file.read_bytes()
        assert b"left" not in file.read_bytes()


def test_entries_expire_and_need_both_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time an entry can neither be read nor is it there; a folder from elsewhere is of no use."""
    vault = Vault(tmp_path / "keep", hours=1)
    blurring_id = vault.put(b"a part")
    vault.close()
    vault = Vault(tmp_path / "keep", hours=1)
    assert vault.get(blurring_id) == b"a part"
    (file,) = (tmp_path / "keep").glob("*.kept")
    assert b"a part" not in file.read_bytes()
    copy = Vault(tmp_path / "copy", hours=1)
    (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    assert copy.get(blurring_id) is None  # another secret
    assert file.stat().st_mtime % 3600 == 0
    later = time.time() + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert vault.get(blurring_id) is None
    vault.sweep()
    assert not file.exists()


def test_entries_go_though_nobody_posts_a_photo_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted when their time is over, not when the next one comes."""
    monkeypatch.setattr(contract, "SWEEP_S", 0.1)
    vault = Vault(tmp_path, hours=1)
    vault.close()
    with running(keep_folder=tmp_path):
        vault.put(b"a part")
        (file,) = tmp_path.glob("*.kept")
        file.write_bytes(bytes(8) + file.read_bytes()[8:])  # its time was over long ago
        for _ in range(200):
            if not file.exists():
                break
            time.sleep(0.05)
    assert not file.exists()


def test_what_a_killed_service_had_begun_to_write_goes_at_the_next_start(tmp_path: Path) -> None:
    """Else it outlives its time: sweeps know it by no name."""
    killed = Vault(tmp_path, hours=1)
    blurring_id = killed.put(b"a part")
    killed.close()
    unfinished = tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}"
    unfinished.write_bytes(b"half of a par")
    vault = Vault(tmp_path, hours=1)
    assert not unfinished.exists()
    assert vault.get(blurring_id) == b"a part"


def test_a_second_service_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It would take for left behind, and delete, what the first is just writing; the next after it is welcome."""
    first = Vault(tmp_path, hours=1)
    unfinished = tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}"
    unfinished.write_bytes(b"half of a par")
    with pytest.raises(AlreadyRunning, match=f"--keep: another service .*{tmp_path}"):
        Vault(tmp_path, hours=1)
    assert unfinished.exists()
    first.close()
    for _ in range(2):
        with running(keep_folder=tmp_path):
            assert not unfinished.exists()


def test_a_folder_that_cannot_be_used_is_an_error_at_the_start(tmp_path: Path) -> None:
    """Not at the first photo."""
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="--keep"):
        Vault(tmp_path / "file", hours=1)
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "secret").write_bytes(b"short")
    with pytest.raises(CannotWrite, match="secret"):
        Vault(tmp_path / "keep", hours=1)
