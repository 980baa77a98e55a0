#!/usr/bin/env python3
"""Launcher: `python pii-blur.py INPUT OUTPUT PROB` from a checkout, without installing anything."""

import sys

MISSING_DEPENDENCY = 3  # as pii_blur.errors.ExitCode, which cannot be asked when its package does not load

if __name__ == "__main__":
    try:
        from pii_blur.cli import main
    except ModuleNotFoundError as error:
        hint = f"{sys.executable} -m pip install -r requirements.txt"
        sys.stderr.write(f"error: the Python package '{error.name}' is missing; install what is needed by:\n  {hint}\n")
        sys.exit(MISSING_DEPENDENCY)
    sys.exit(main())
