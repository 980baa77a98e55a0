"""The jpegtran program: writes a JPEG's coefficients again with other coding. An optional helper, never required."""

from __future__ import annotations

import logging
import shutil
import subprocess

log = logging.getLogger(__name__)

TIMEOUT_S = 120.0


def recode(data: bytes, *, progressive: bool, optimize: bool, restart_interval: int) -> bytes | None:
    """Write `data` again through a pipe, with every coefficient and segment as it is.

    Args:
        data: a JPEG file.
        progressive: write progressive scans.
        optimize: fit the Huffman tables to the picture.
        restart_interval: in MCUs, 0 for none.

    Returns:
        The new file, or None if jpegtran is not installed, fails or warns. Other makes of the program (mozjpeg) choose
        the coding themselves, so the caller must look at what came back.
    """
    options = ["-progressive"] * progressive + ["-optimize"] * optimize
    if restart_interval:
        options += ["-restart", f"{restart_interval}B"]
    return _run(options, data)


_TURNS = {
    2: ("-flip", "horizontal"),
    3: ("-rotate", "180"),
    4: ("-flip", "vertical"),
    5: ("-transpose",),
    6: ("-rotate", "90"),
    7: ("-transverse",),
    8: ("-rotate", "270"),
}


def turn(data: bytes, orientation: int) -> bytes | None:
    """Turn a picture the way it is to be looked at, without loss; its Exif orientation stays as it is.

    Args:
        data: a JPEG file.
        orientation: EXIF, 2 to 8.

    Returns:
        The new file, or None as for `recode`, and where the picture ends in blocks that are cut off: such edges cannot
        be turned without loss.
    """
    return _run(["-perfect", *_TURNS[orientation]], data)


def _run(options: list[str], data: bytes) -> bytes | None:
    program = shutil.which("jpegtran")
    if program is None:
        return None
    command = [program, "-copy", "all", *options]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("jpegtran gave nothing back: %s", error)
        return None
    if done.returncode != 0 or done.stderr:
        log.warning("jpegtran ended with %s: %s", done.returncode, done.stderr.decode("utf-8", "replace").strip())
        return None
    return done.stdout
