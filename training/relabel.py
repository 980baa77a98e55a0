"""Write a label file whose tiles are as somebody's eyes saw them: `python -m training.relabel DATA labels.jsonl`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.verdicts import apply, check_labels, read_verdicts


def main() -> None:
    """Write the file; lines without a verdict stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with labels.jsonl")
    parser.add_argument("labels", type=Path, help="label file to write")
    arguments = parser.parse_args()
    source = (arguments.data / "labels.jsonl").read_bytes()
    check_labels(source)
    verdicts, lines = read_verdicts(), []
    for line in map(json.loads, source.decode().splitlines()):
        verdict = verdicts.get(Path(line["file"]).stem)
        lines.append(line if verdict is None else apply(line, verdict))
    arguments.labels.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
