"""Splicing changes the touched MCUs of a JPEG and nothing else, or refuses with a reason."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pii_blur.photo import jpegtran, turbojpeg
from pii_blur.photo.jpeg_frame import read_frame
from pii_blur.photo.splice import SpliceRefused, splice_jpeg
from tests.jpegs import (
    changed_blocks_outside,
    cjpeg,
    coefficients,
    decode,
    decode_luma,
    encode,
    picture,
    touched_blocks,
)

Make = Callable[[NDArray[np.uint8]], bytes]

# Every coding that must take the lossless way, whatever the library's version.
SPLICED: dict[str, Make] = {
    "4:4:4": lambda p: encode(p, quality=90, subsampling=0),
    "4:2:2": lambda p: encode(p, quality=85, subsampling=1),
    "4:2:0": lambda p: encode(p, quality=75, subsampling=2),
    "4:4:0": lambda p: cjpeg(p, "-quality", "85", "-sample", "1x2"),
    "4:1:1": lambda p: cjpeg(p, "-quality", "85", "-sample", "4x1"),
    "4:4:4 written as 2x1,2x1,2x1": lambda p: cjpeg(p, "-sample", "2x1,2x1,2x1"),
    "grey": lambda p: encode(p, mode="L", quality=85),
    "grey, 2x2": lambda p: cjpeg(p, "-grayscale", "-sample", "2x2"),
    "grey, 4x1, progressive": lambda p: cjpeg(p, "-grayscale", "-sample", "4x1", "-progressive"),
    "progressive": lambda p: encode(p, quality=85, progressive=True),
    "progressive 4:4:4 with restarts": lambda p: cjpeg(p, "-progressive", "-sample", "1x1", "-restart", "3B"),
    "optimised": lambda p: encode(p, quality=85, optimize=True),
    "restart every row": lambda p: encode(p, quality=85, restart_marker_rows=1),
    "optimised, restart every 5 blocks": lambda p: encode(p, quality=85, optimize=True, restart_marker_blocks=5),
    "16-bit quantisation tables": lambda p: encode(p, qtables=[[300 + 9 * k for k in range(64)]] * 2, subsampling=0),
    "quality 100": lambda p: encode(p, quality=100, subsampling=0),
    "quality 1": lambda p: encode(p, quality=1),
    "three scans": lambda p: cjpeg(p, scans="0;\n1;\n2;\n"),
}
# Samplings that libturbojpeg 2 does not know: right or refused, never wrong.
UNUSUAL = ["4x2", "3x1", "1x3", "1x4", "1x1,2x2,2x2", "2x1,1x2,1x1", "2x2,2x1,1x2", "1x2,1x2,1x2", "4x1,2x1,1x1"]
SIZES = [(64, 96), (75, 101), (33, 17), (8, 8), (1, 1), (16, 250)]


def changed(source: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return new pixels and the mask: a blurred rectangle off the MCU grid and one pixel in the last corner."""
    pixels = decode(source)
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 3 : height // 3 + height // 4 + 1, width // 2 : width // 2 + width // 4 + 1] = 255
    mask[-1, -1] = 1
    new = cv2.blur(pixels, (15, 15))
    return np.where(mask[..., np.newaxis] > 0, new, pixels), mask


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio in dB, at most 60."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 60.0 if error < 0.07 else 10 * float(np.log10(255**2 / error))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("coding", SPLICED)
def test_coefficients_outside_touched_mcus_stay_identical(coding: str, size: tuple[int, int]) -> None:
    """For every coding and odd size no block outside the touched MCUs differs, as an independent reader sees them."""
    source = SPLICED[coding](picture(*size))
    pixels, mask = changed(source)
    assert changed_blocks_outside(source, splice_jpeg(source, pixels, mask).data, mask) == 0


@pytest.mark.parametrize("coding", SPLICED)
def test_replaced_part_looks_as_wanted(coding: str) -> None:
    """Inside the mask the decoded result is as close to the new pixels as a whole new encoding with those tables."""
    source = SPLICED[coding](picture(75, 101, detail=20))
    pixels, mask = changed(source)
    result = splice_jpeg(source, pixels, mask).data
    whole = splice_jpeg(source, pixels, np.ones_like(mask)).data
    wanted = pixels if len(read_frame(source).components) == 3 else pixels[..., :1].repeat(3, axis=2)
    inside = mask > 0
    assert psnr(decode(result)[inside], wanted[inside]) >= psnr(decode(whole)[inside], wanted[inside]) - 1.5
    if "16-bit" not in coding and coding != "quality 1":
        assert psnr(decode(result)[inside], wanted[inside]) > 30


@pytest.mark.parametrize("coding", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_whole_picture_is_as_good_as_the_librarys_own_encoding(coding: str) -> None:
    """Coefficients made here are those of an ordinary encoder: equal but for rounding in the last place."""
    new = picture(72, 104, seed=5, detail=20)
    source, expected = (SPLICED[coding](p) for p in (picture(72, 104), new))
    pixels = new if coding != "grey" else np.repeat(decode(SPLICED["grey"](new))[..., :1], 3, axis=2)
    ours = coefficients(splice_jpeg(source, pixels, np.ones((72, 104), dtype=np.uint8)).data)
    for plane, reference in zip(ours.planes, coefficients(expected).planes, strict=True):
        difference = np.abs(plane.astype(int) - reference)
        assert difference.max() <= (1 if coding != "grey" else 2)
        assert (difference > 0).mean() < 0.05


@pytest.mark.parametrize("coding", SPLICED)
def test_decoded_luma_outside_touched_mcus_stays_identical(coding: str) -> None:
    """Luma has no interpolation across blocks: outside the touched MCUs every decoded sample is the same."""
    source = SPLICED[coding](picture(75, 101))
    pixels, mask = changed(source)
    result = splice_jpeg(source, pixels, mask).data
    width, height = read_frame(source).mcu_size
    padded = np.pad(mask, ((0, -75 % height), (0, -101 % width)))
    tiles = padded.reshape(-(-75 // height), height, -1, width).any(axis=(1, 3))
    inside = tiles.repeat(height, axis=0).repeat(width, axis=1)[:75, :101]
    assert inside.any()
    assert not inside.all()
    assert np.array_equal(decode_luma(result)[~inside], decode_luma(source)[~inside])


@pytest.mark.parametrize("sampling", UNUSUAL)
def test_unusual_sampling_is_right_or_refused(sampling: str) -> None:
    """A sampling that the library or this program cannot handle is refused; no wrong picture comes out."""
    source = cjpeg(picture(75, 101, detail=20), "-quality", "90", "-sample", sampling)
    pixels, mask = changed(source)
    try:
        result = splice_jpeg(source, pixels, mask).data
    except SpliceRefused as refused:
        assert "sampling" in refused.reason
        return
    assert changed_blocks_outside(source, result, mask) == 0
    assert psnr(decode(result)[mask > 0], pixels[mask > 0]) > 30


def test_replaced_blocks_hold_nothing_of_the_source() -> None:
    """Two different photos, given the same new pixels, get the same blocks to the last bit."""
    first, second = (encode(picture(64, 80, seed), quality=92) for seed in (1, 2))
    pixels = picture(64, 80, seed=3)
    mask = np.zeros((64, 80), dtype=np.uint8)
    mask[20:50, 30:70] = 1
    read = [coefficients(splice_jpeg(source, pixels, mask).data) for source in (first, second)]
    for a, b, inside in zip(read[0].planes, read[1].planes, touched_blocks(mask, read[0]), strict=True):
        assert np.array_equal(a[inside], b[inside])
    everything = np.ones_like(mask)
    assert splice_jpeg(first, pixels, everything).data == splice_jpeg(second, pixels, everything).data


def test_flat_colour_leaves_no_detail_at_all() -> None:
    """A part painted flat and aligned with the MCUs has no AC coefficient left in any component."""
    source = encode(picture(64, 96), quality=95)
    pixels, mask = decode(source), np.zeros((64, 96), dtype=np.uint8)
    pixels[16:48, 32:80], mask[16:48, 32:80] = (90, 120, 60), 1
    read = coefficients(splice_jpeg(source, pixels, mask).data)
    for plane, inside in zip(read.planes, touched_blocks(mask, read), strict=True):
        assert not plane[inside].reshape(-1, 64)[:, 1:].any()


def test_extreme_pixels_stay_within_what_the_format_can_hold() -> None:
    """Black and white checkers at quality 100 neither overflow nor wrap round."""
    source = encode(picture(32, 32), quality=100, subsampling=0)
    checkers = np.indices((32, 32)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checkers.astype(np.uint8)[..., np.newaxis], 3, axis=2)
    result = splice_jpeg(source, pixels, np.ones((32, 32), dtype=np.uint8)).data
    assert np.abs(decode(result).astype(int) - pixels).max() <= 2


def test_empty_mask_changes_nothing() -> None:
    """With nothing to hide and ordinary coding the scan comes back byte for byte."""
    source = encode(picture(75, 101), quality=80)
    spliced = splice_jpeg(source, decode(source), np.zeros((75, 101), dtype=np.uint8))
    assert spliced.data == source
    assert spliced.notes == ()


def test_only_a_jfif_header_without_thumbnail_is_carried() -> None:
    """No APPn or COM of the source is in the output, so nothing hidden there can slip through at this stage."""
    exif = b"Exif\0\0" + b"unblurred thumbnail" * 20
    source = encode(picture(40, 40), quality=80, exif=exif, comment=b"a comment", dpi=(300, 300))
    result = splice_jpeg(source, decode(source), np.ones((40, 40), dtype=np.uint8)).data
    assert b"thumbnail" not in result
    assert b"comment" not in result
    assert result[2:4] == b"\xff\xe0"
    assert result[6:11] == b"JFIF\0"
    assert result[13:20] == b"\x01\x01\x2c\x01\x2c\x00\x00"  # 300 x 300 per inch, thumbnail 0 x 0
    assert result[20:22] == b"\xff\xdb"
    assert result[-2:] == b"\xff\xd9"


def test_bytes_after_the_end_are_dropped() -> None:
    """A second picture behind EOI does not come along."""
    source = encode(picture(40, 40))
    result = splice_jpeg(source + source, decode(source), np.ones((40, 40), dtype=np.uint8)).data
    assert result.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("coding", ["restart every row", "optimised, restart every 5 blocks", "optimised"])
def test_restarts_and_optimised_tables_are_kept(coding: str) -> None:
    """With jpegtran or libturbojpeg 3 at hand the coding is as before and the file does not grow."""
    if not turbojpeg.load_turbojpeg().is_version_3 and shutil.which("jpegtran") is None:
        pytest.skip("neither libturbojpeg 3 nor jpegtran is installed")
    source = SPLICED[coding](picture(240, 320))
    pixels, mask = changed(source)
    spliced = splice_jpeg(source, pixels, mask)
    before, after = read_frame(source), read_frame(spliced.data)
    assert after.restart_interval == before.restart_interval
    assert after.huffman_is_typical == before.huffman_is_typical
    assert len(spliced.data) < len(source)  # the blurred part costs less
    assert spliced.notes == ()


def test_without_jpegtran_the_loss_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where neither the library nor a program can restore the coding, the picture is the same and the notes say so."""
    if turbojpeg.load_turbojpeg().is_version_3:
        pytest.skip("libturbojpeg 3 needs no jpegtran")
    source = SPLICED["optimised, restart every 5 blocks"](picture(75, 101))
    pixels, mask = changed(source)
    best = splice_jpeg(source, pixels, mask)
    monkeypatch.setenv("PATH", str(tmp_path))
    plain = splice_jpeg(source, pixels, mask)
    assert plain.notes == ("optimised Huffman tables lost", "restart intervals lost")
    assert np.array_equal(decode(plain.data), decode(best.data))


@pytest.mark.parametrize("behaviour", ["exit 1", "printf rubbish", "cat; echo odd >&2", "cat /dev/null"])
def test_misbehaving_jpegtran_costs_nothing(behaviour: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A jpegtran that fails, warns or returns something else is ignored."""
    if turbojpeg.load_turbojpeg().is_version_3:
        pytest.skip("libturbojpeg 3 needs no jpegtran")
    program = tmp_path / "jpegtran"
    program.write_text(f"#!/bin/sh\n{behaviour}\n")
    program.chmod(0o755)
    monkeypatch.setattr(jpegtran.shutil, "which", lambda _: str(program))
    source = SPLICED["optimised"](picture(75, 101))
    pixels, mask = changed(source)
    spliced = splice_jpeg(source, pixels, mask)
    assert spliced.notes == ("optimised Huffman tables lost",)
    assert changed_blocks_outside(source, spliced.data, mask) == 0


def patched(data: bytes, marker: int, offset: int, value: bytes) -> bytes:
    """Overwrite bytes at `offset` behind the first marker of a kind."""
    place = data.index(bytes((0xFF, marker))) + offset
    return data[:place] + value + data[place + len(value) :]


BASE = encode(picture(75, 101), quality=85)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "RGB-coded": (lambda: encode(picture(75, 101), keep_rgb=True), "RGB-coded"),
    "RGB by component ids": (lambda: cjpeg(picture(75, 101), "-rgb"), "RGB-coded"),
    "CMYK": (lambda: encode(picture(75, 101), mode="CMYK"), "CMYK"),
    "arithmetic": (lambda: cjpeg(picture(75, 101), "-arithmetic"), "arithmetic coding"),
    "lossless": (lambda: patched(BASE, 0xC0, 1, b"\xc3"), "lossless or hierarchical coding"),
    "12 bits": (lambda: patched(BASE, 0xC0, 4, b"\x0c"), "12 bits per sample"),
    "fractional sampling": (lambda: patched(BASE, 0xC0, 10, b"\x01\x31\x00\x02\x21"), "fractional chroma sampling"),
    "outsized header": (lambda: patched(BASE, 0xC0, 5, b"\xff\xdc\xff\xdc"), "header and picture differ in size"),
    "truncated": (lambda: BASE[: len(BASE) * 2 // 3], "damaged scan data"),
    "no EOI": (lambda: BASE[:-2], "damaged scan data"),
    "no scan": (lambda: BASE[: BASE.index(b"\xff\xda")], "unusable header (ends before its picture)"),
    "junk between segments": (lambda: BASE[:20] + b"junk!" + BASE[20:], "unusable header (junk between segments)"),
    "marker inside the scan": (lambda: BASE[:-400] + b"\xff\xd3" + BASE[-398:], "damaged scan data"),
    "no quantisation table": (lambda: patched(BASE, 0xC0, 12, b"\x03"), "missing quantisation table"),
    # The third symbol of the first DC table becomes 13: differences of up to 13 bits.
    "coefficients no encoder may write": (lambda: patched(BASE, 0xC4, 23, b"\x0d"), "coefficients out of range"),
    "not a JPEG": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "unusable header (no JPEG)"),
    "empty": (lambda: b"", "unusable header (no JPEG)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_right_is_refused_by_name(kind: str) -> None:
    """Every coding with other rules and every damaged file is refused, with a reason for the log."""
    make, reason = REFUSED[kind]
    pixels = picture(75, 101)
    with pytest.raises(SpliceRefused) as refused:
        splice_jpeg(make(), pixels, np.ones((75, 101), dtype=np.uint8))
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize("number", [0, 1])
def test_tables_redefined_between_scans_are_refused(number: int) -> None:
    """A quantisation table that changes under way could be taken for the wrong one; such a file is left alone."""
    source = SPLICED["three scans"](picture(75, 101))
    second = source.index(b"\xff\xda", source.index(b"\xff\xda") + 2)
    table = b"\xff\xdb\x00\x43" + bytes([number]) + bytes(range(1, 65))
    with pytest.raises(SpliceRefused, match="libturbojpeg"):
        splice_jpeg(source[:second] + table + source[second:], *changed(source))


def test_extended_sequential_files_are_spliced() -> None:
    """SOF1 with 8 bits is coded like the baseline."""
    source = patched(BASE, 0xC0, 1, b"\xc1")
    pixels, mask = changed(source)
    assert changed_blocks_outside(source, splice_jpeg(source, pixels, mask).data, mask) == 0


def test_adobe_transform_zero_is_refused_and_one_is_spliced() -> None:
    """The Adobe marker decides what three components mean."""
    jfif_end = 20
    adobe = b"\xff\xee\x00\x0eAdobe\0d\0\0\0\0"
    for transform, is_refused in ((0, True), (1, False), (2, True)):
        source = BASE[:2] + adobe + bytes([transform]) + BASE[jfif_end:]
        pixels, mask = changed(BASE)
        if is_refused:
            with pytest.raises(SpliceRefused):
                splice_jpeg(source, pixels, mask)
        else:
            assert changed_blocks_outside(source, splice_jpeg(source, pixels, mask).data, mask) == 0


def test_threads_do_not_disturb_each_other() -> None:
    """Splices at the same time give the same bytes as one after the other."""
    sources = [encode(picture(200, 300, seed), quality=80 + seed) for seed in range(6)]
    jobs = [(source, *changed(source)) for source in sources]
    alone = [splice_jpeg(*job).data for job in jobs]
    together: list[bytes] = [b""] * len(jobs)
    gate = threading.Barrier(len(jobs))

    def work(number: int) -> None:
        gate.wait(timeout=30)
        together[number] = splice_jpeg(*jobs[number]).data

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(work, range(len(jobs))))
    assert together == alone


@pytest.mark.slow
def test_every_real_photo_is_spliced_or_refused_for_a_stated_reason(shared: Path) -> None:
    """Over all real panoramas and samples: clean YCbCr and grey files are spliced, with 0 blocks changed outside."""
    refused = {}
    files = sorted([*(shared / "eval/panos").glob("*.jpg"), *(shared / "eval/metadata").glob("*.jpg")])
    assert files
    for file in files:
        source = file.read_bytes()
        image = cv2.imdecode(np.frombuffer(source, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            assert turbojpeg.check_decodes(source) is not None, file.name
            continue
        mask = np.zeros(image.shape[:2], dtype=np.uint8)
        height, width = mask.shape
        mask[height // 3 : height // 3 + height // 8 + 1, width // 2 : width // 2 + width // 10 + 1] = 255
        pixels = np.where(mask[..., np.newaxis] > 0, cv2.blur(image, (31, 31)), image).astype(np.uint8)
        try:
            result = splice_jpeg(source, pixels, mask).data
        except SpliceRefused as error:
            refused[file.name] = error.reason
            is_cmyk = error.reason == "CMYK"
            assert is_cmyk or turbojpeg.check_decodes(source) is not None, (file.name, error.reason)
            continue
        assert changed_blocks_outside(source, result, mask) == 0, file.name
    assert len(refused) < len(files) / 10, refused
