"""`pii-blur config`: what is in force, and where each value comes from. docs/configuration.md explains it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pii_blur.batch.jobs import printable
from pii_blur.command_line import make_parser, split_words
from pii_blur.configuration import COMMAND_LINE, DEFAULT, Configuration, Given, configure
from pii_blur.errors import ExitCode, UsageFailure

SCHEMA = 1


def run_config(words: list[str]) -> int:
    """Run `pii-blur config WORDS`, where the words are those of the main command.

    Returns:
        An `ExitCode`.

    Raises:
        SystemExit: 2 for what cannot be understood, 0 after --help.
    """
    parser = make_parser("pii-blur config [INPUT OUTPUT PROB] [options]")
    texts = split_words(parser, words)
    try:
        configuration = configure(texts, os.environ, Path())
        values = configuration.values()
        if isinstance(values["input"], Path):
            configuration.refuse_files_among(values["input"])
    except UsageFailure as failure:
        parser.error(str(failure))
    print(_as_json(configuration) if values["json"] else _as_table(configuration))
    if missing := configuration.missing():
        print(f"not set, but needed for a run: {', '.join(missing)}", file=sys.stderr)
    return ExitCode.OK


def _as_table(configuration: Configuration) -> str:
    rows = [(name, printable(given.text or ""), _origin(given)) for name, given in configuration.given.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {text:<{widths[1]}}  {origin}".rstrip() for name, text, origin in rows)


def _origin(given: Given) -> str:
    if given.source in (COMMAND_LINE, DEFAULT) or given.name == "":
        return given.source if given.text is not None else "not set"
    return f"{given.name} in {printable(given.source)}" if given.name.isupper() else printable(given.source)


def _as_json(configuration: Configuration) -> str:
    options = {
        name: {"value": given.text, "source": given.source, "name": given.name}
        for name, given in configuration.given.items()
    }
    files = [str(file) for file in configuration.files]
    return json.dumps({"schema": SCHEMA, "files": files, "options": options}, indent=1)
