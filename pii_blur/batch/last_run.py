"""How the last run over an OUTPUT ended: its summary, in a file beside the journal. docs/journal.md describes it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pii_blur.batch.durable import replace_private
from pii_blur.batch.summary import Summary

log = logging.getLogger(__name__)

FILE_NAME = "last-run.json"
TEMPORARY_NAME = ".pii-blur-last-run.part"


def write_last_run(folder: Path, summary: Summary) -> None:
    """Write down how a run has ended; where that cannot be, the run is none the worse for it.

    Args:
        folder: of the journal.
        summary: of the run.
    """
    ended = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = json.dumps({"ended": ended, **summary.to_json()}, indent=1)
    try:
        replace_private(folder / FILE_NAME, document.encode("ascii"), folder / TEMPORARY_NAME)
    except OSError as error:
        log.warning("how this run ended cannot be written down: %s", error.strerror)


def read_last_run(folder: Path) -> dict[str, Any] | None:
    """Return what `write_last_run` wrote, None if there is nothing that makes sense."""
    try:
        document = json.loads((folder / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and {"ended", "photos", "failures"} <= document.keys() else None
