"""`pii-blur serve`: words -> service settings -> a running server. docs/service.md explains it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pii_blur.arguments import OPTIONS, SECTIONS, Option
from pii_blur.batch.capacity import available_cores, available_memory, share_cores
from pii_blur.command import Command
from pii_blur.command_line import add_option
from pii_blur.configuration import configure
from pii_blur.errors import ExitCode, MissingDependency, RunFailure, UsageFailure
from pii_blur.http.settings import ServiceSettings
from pii_blur.streams import logging_to
from pii_blur.values import parse_labels, parse_number, parse_path, parse_whole

log = logging.getLogger(__name__)

DESCRIPTION = """\
Blur photos that other programs post: Panoramax, clients of the BMW-Anonymization-API, your own.
"""

EXAMPLES = """\
examples:
  pii-blur serve                                        on http://127.0.0.1:8000, for this machine only
  pii-blur serve --prob 25 --workers 4                  find more, four photos at a time
  pii-blur serve --host 0.0.0.0 --token-file tokens     for others, who must know a token

It needs a few packages more: pip install 'pii-blur[server]'. docs/service.md is the page for operators.
"""

_HIDING = [
    OPTIONS["prob"],
    *(option for option in SECTIONS["what to hide"] if option.name != "trust-mark"),
    *SECTIONS["how to hide"],
]
_RUNNING = [OPTIONS[name] for name in ("config", "workers", "threads", "device")]

_SECTIONS: dict[str, tuple[Option, ...]] = {
    "where it listens, and to whom": (
        Option("host", "address", str, "ADDRESS", "127.0.0.1"),
        Option("port", "port, 0 for any that is free", parse_whole, "N", "8000"),
        Option("token-file", "tokens, one a line; a must unless ADDRESS is loop-back", parse_path, "FILE"),
        Option(
            "allowed-host", "answer to this host name only; may be given several times", str, "NAME", is_repeated=True
        ),
        Option(
            "outgoing",
            "http://HOST:PORT that may be asked by the service; may be given several times",
            str,
            "URL",
            is_repeated=True,
        ),
        Option("state", "remember here which inference servers were set", parse_path, "DIR"),
    ),
    "limits": (
        Option("queue", "photos that may wait", parse_whole, "N", "16"),
        Option("max-megabytes", "largest upload", parse_number, "N", "100"),
        Option("max-megapixels", "largest picture", parse_number, "N", "250"),
        Option("upload-seconds", "how long an upload, or the reading of an answer, may take", parse_number, "N", "120"),
        Option("photo-seconds", "how long a photo may take, waiting included", parse_number, "N", "300"),
        Option("max-jobs", "jobs that may be known at a time", parse_whole, "N", "100"),
        Option("job-minutes", "how long a job's result waits to be fetched", parse_number, "N", "60"),
    ),
    "Panoramax": (
        Option("annotate", "tell Panoramax, which publishes it, where these were hidden", parse_labels, "LIST"),
        Option("keep", "keep doubtful parts here, encrypted, where a request asks for it", parse_path, "DIR"),
        Option("keep-hours", "for so long", parse_number, "N", "48"),
        Option("allow-unblurred", "let requests ask for less, or for nothing, to be hidden", default="false"),
    ),
}


def run_serve(words: list[str]) -> int:
    """Run `pii-blur serve WORDS` until a signal ends it.

    Returns:
        An `ExitCode`.

    Raises:
        SystemExit: 2 for words that cannot be read, 0 after --help.
    """
    parser = make_parser()
    arguments = vars(parser.parse_args(words))
    level = logging.DEBUG if "verbose" in arguments else logging.WARNING if "quiet" in arguments else logging.INFO
    with logging_to(sys.stderr, level):
        try:
            settings = read_settings(arguments)
        except UsageFailure as failure:
            parser.error(str(failure))
        try:
            return _serve(settings)
        except RunFailure as failure:
            log.error("%s", failure)
            return failure.exit_code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; every option given becomes an attribute with its text."""
    parser = argparse.ArgumentParser(
        prog="pii-blur serve",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for title, options in _SECTIONS.items():
        group = parser.add_argument_group(title)
        for option in options:
            add_option(group, option)
    hiding = parser.add_argument_group("what to hide, and how (as in the main command)")
    hiding.add_argument("--prob", metavar="PROB", help=f"{OPTIONS['prob'].help} (default: 40)")
    for option in _HIDING[1:]:
        add_option(hiding, option)
    running = parser.add_argument_group("running")
    for option in _RUNNING:
        add_option(running, option)
    loudness = running.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    loudness.add_argument("--verbose", action="store_true", help="say more")
    return parser


def read_settings(arguments: dict[str, Any]) -> ServiceSettings:
    """Return what the words ask for; what they leave out of hiding may stand where the main command looks for it.

    Raises:
        UsageFailure: a value out of range, or a file that cannot be read; names the option.
    """
    texts = {
        option.name: ",".join(text) if isinstance(text, list) else text
        for option in (*_HIDING, *_RUNNING)
        if (text := arguments.get(option.attribute)) is not None
    }
    values = configure(texts, os.environ, Path()).values()
    values["prob"] = 40.0 if values["prob"] is None else values["prob"]
    command = Command(values)
    own = {option.attribute: _value(option, arguments) for section in _SECTIONS.values() for option in section}
    workers, threads = share_cores(
        available_cores(), available_memory(), photos=None, workers=command.workers, threads=command.threads
    )
    try:
        return ServiceSettings(
            hiding=command.settings(),
            host=own["host"],
            port=own["port"],
            tokens=_read_tokens(own["token_file"]),
            allowed_hosts=tuple(arguments.get("allowed_host", ())),
            outgoing=tuple(arguments.get("outgoing", ())),
            workers=workers,
            threads=threads,
            device=command.device,
            queue=own["queue"],
            max_bytes=int(own["max_megabytes"] * (1 << 20)),
            max_pixels=int(own["max_megapixels"] * 1_000_000),
            upload_s=own["upload_seconds"],
            patience_s=own["photo_seconds"],
            max_jobs=own["max_jobs"],
            job_minutes=own["job_minutes"],
            annotate=own["annotate"] or (),
            keep_folder=own["keep"],
            keep_hours=own["keep_hours"],
            allow_unblurred=own["allow_unblurred"],
            state_folder=own["state"],
        )
    except ValueError as error:
        raise UsageFailure(str(error)) from error


def _value(option: Option, arguments: dict[str, Any]) -> Any:
    text = arguments.get(option.attribute, option.default)
    if text is None or option.is_repeated:
        return None
    try:
        return option.parse(text)
    except ValueError as error:
        raise UsageFailure(f"{option.shown}: {error}") from error


def _read_tokens(file: Path | None) -> tuple[str, ...]:
    """Return the tokens of a file: one a line, empty lines and those that begin with # left out."""
    if file is None:
        return ()
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFailure(f"--token-file: '{file}' cannot be read: {error}") from error
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens:
        raise UsageFailure(f"--token-file: there is no token in '{file}'")
    return tokens


def _serve(settings: ServiceSettings) -> int:
    # They load the neural network's runtime and the server, for which nobody should wait to learn of a mistyped option.
    from pii_blur.pipeline import check_tools  # noqa: PLC0415

    check_tools(settings.hiding, device=settings.device)
    run: Callable[[ServiceSettings], None]
    try:
        from pii_blur.http.server import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pii_blur"):
            raise
        remedy = "install what the service needs with: pip install 'pii-blur[server]'"
        raise MissingDependency(f"the Python package {error.name} is missing; {remedy}") from error
    run(settings)
    return ExitCode.OK
