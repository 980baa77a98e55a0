"""`python -m contrib.demo draw FILE` and `python -m contrib.demo picture BEFORE AFTER FILE`, run from the checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from contrib.demo.photo_file import write_photo
from contrib.demo.picture import draw_before_and_after
from contrib.demo.scene import draw_courtyard


def main() -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contrib.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="draw the panorama")
    draw.add_argument("file", type=Path, metavar="FILE", help="the JPEG to write")
    draw.add_argument("--width", type=int, default=4096, help="in pixels, even (default: %(default)s)")
    picture = commands.add_parser("picture", help="put the panorama before and after into one picture")
    for name in ("before", "after", "file"):
        picture.add_argument(name, type=Path, metavar=name.upper())
    arguments = parser.parse_args()
    try:
        if arguments.command == "draw":
            write_photo(draw_courtyard(arguments.width // 2 * 2), arguments.file)
        else:
            draw_before_and_after(arguments.before, arguments.after, arguments.file)
    except (RuntimeError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
