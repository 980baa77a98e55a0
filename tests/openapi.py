"""Starts the service with the colour detector and lets schemathesis loose on it; started by openapi.sh."""

from __future__ import annotations

import subprocess
import sys

from tests.service import running

# 501 is what it shall answer until there is video.
OPTIONS = ["--checks", "not_a_server_error,status_code_conformance", "--exclude-path", "/anonymize_video/"]
LIMITS = ["--phases", "coverage,fuzzing,stateful", "--max-examples", "50", "--request-timeout", "60"]


def main(program: str, *further: str) -> int:
    """Return schemathesis's exit code."""
    with running(queue=4, allow_unblurred=True, max_bytes=2 << 20) as service:
        words = [program, "run", f"{service.address}/openapi.json", *OPTIONS, *LIMITS, *further]
        return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
