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
    program = shutil.which("jpegtran")
    if program is None:
        return None
    command = [program, "-copy", "all"]
    if progressive:
        command.append("-progressive")
    if optimize:
        command.append("-optimize")
    if restart_interval:
        command += ["-restart", f"{restart_interval}B"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("jpegtran gave nothing back: %s", error)
        return None
    if done.returncode != 0 or done.stderr:
        log.warning("jpegtran ended with %s: %s", done.returncode, done.stderr.decode("utf-8", "replace").strip())
        return None
    return done.stdout
