#!/usr/bin/env python3
"""Launcher: `python pii-blur.py INPUT OUTPUT PROB` from a checkout, without installing anything."""

import sys

if __name__ == "__main__":
    from pii_blur.cli import main

    sys.exit(main())
