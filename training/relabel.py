"""Write a label file whose tiles are as somebody's eyes saw them: `python -m training.relabel DATA labels.jsonl`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.verdicts import apply, read_verdicts


def main() -> None:
    """Write the file; lines without a verdict stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with labels.jsonl")
    parser.add_argument("labels", type=Path, help="label file to write")
    arguments = parser.parse_args()
    verdicts = read_verdicts()
    lines = [json.loads(line) for line in (arguments.data / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [apply(line, verdicts.get(Path(line["file"]).stem, {})) for line in lines]
    arguments.labels.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
