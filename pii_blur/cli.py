"""The command line: argv -> a run -> an exit code. The only file that knows argparse or prints.

docs/usage.md lists every option; a test compares the two.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

from pii_blur.batch.jobs import printable
from pii_blur.batch.options import DEFAULT_EXTENSIONS
from pii_blur.batch.places import find_places
from pii_blur.batch.plan import Plan, digest_run
from pii_blur.batch.runner import plan_run, run_batch
from pii_blur.batch.summary import SCHEMA, Summary
from pii_blur.command import Command, parse_extensions, parse_kernel, parse_labels, parse_prob, parse_threshold
from pii_blur.detect.devices import DEFAULT_DEVICE, DEVICES
from pii_blur.detect.model_store import known_models
from pii_blur.errors import ExitCode, RunFailure
from pii_blur.labels import DEFAULT_LABELS, Label
from pii_blur.models_command import run_models
from pii_blur.obfuscate.obfuscator import METHODS
from pii_blur.progress import BarProgress, LineProgress
from pii_blur.results import DETECTIONS_FORMATS
from pii_blur.settings import DEFAULT_MODEL
from pii_blur.sphere.views import PLANS
from pii_blur.streams import exit_code_kept, logging_to, stdout_for_results
from pii_blur.version import __version__

log = logging.getLogger(__name__)

T = TypeVar("T")

SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {"models": run_models}
"""Further commands by name. What reads as `INPUT OUTPUT PROB` is the main job, even where INPUT is named like one."""

DESCRIPTION = """\
Hide people and vehicles in 360-degree photos, for good, and keep everything else: place, names, metadata.
"""

EXAMPLES = """\
examples:
  pii-blur photos public 40                      every photo in photos/, results in public/
  pii-blur photos public 25 --views thorough     find more, take longer
  pii-blur street.jpg public 40 --method solid   one photo, flat colour instead of a blur
  pii-blur photos public 40 --dry-run            say what would be done
  pii-blur models list                           which models there are; more with pii-blur models --help

After a stop of any kind the same command goes on: what is finished is skipped.
Exit codes: 0 all done, 4 some photos failed, others in docs/exit-codes.md.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: without the program's name; by default this process's.

    Returns:
        An `ExitCode`.

    Raises:
        SystemExit: 2 for a command line that cannot be read, 0 after --help and --version.
    """
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in SUBCOMMANDS and not _is_main_job(words):
        return SUBCOMMANDS[words[0]](words[1:])
    command = make_parser().parse_args(words, namespace=Command())
    level = logging.DEBUG if command.verbose else logging.WARNING if command.quiet else logging.INFO
    with exit_code_kept(), stdout_for_results() as results, logging_to(sys.stderr, level):
        try:
            return _run(command, results)
        except RunFailure as failure:
            return _give_up(failure.exit_code, str(failure), command, results)
        except KeyboardInterrupt:
            return _give_up(ExitCode.INTERRUPTED, "stopped", command, results)
        except Exception as error:
            log.debug("where it happened:", exc_info=True)
            message = f"internal error, please report it with the output of --verbose: {type(error).__name__}: {error}"
            return _give_up(ExitCode.INTERNAL_ERROR, message, command, results)


def _run(command: Command, results: TextIO) -> ExitCode:
    settings = command.settings()
    workers, threads = command.share()
    options = command.options(workers)
    find_places(options)
    # It loads the neural network's runtime, which nobody should wait for only to learn of a mistyped option.
    from pii_blur.pipeline import BlurTask, check_tools  # noqa: PLC0415

    run_digest = digest_run(options, settings.digest(), check_tools(settings, device=command.device))
    if options.dry_run:
        return _show_plan(plan_run(options, run_digest), command, results)
    log.debug("%d workers, %d threads each", workers, threads)
    task = BlurTask(settings, options.side, threads, options.trust_mark, command.device)
    progress = BarProgress(sys.stderr) if sys.stderr.isatty() and not command.quiet else LineProgress()
    summary = run_batch(options, task, run_digest=run_digest, progress=progress)
    return _show_summary(summary, command, results)


def _show_summary(summary: Summary, command: Command, results: TextIO) -> ExitCode:
    if summary.ignored:
        endings = ", ".join(f"{number} {ending or 'without ending'}" for ending, number in summary.ignored.items())
        log.info("files that are no photos were left alone: %s", endings)
    if summary.waiting:
        log.info("%d changed less than %g s ago (--settle); run again later", len(summary.waiting), command.settle)
    if summary.stop_reason:
        log.error("%s", summary.stop_reason)
    if not command.quiet:
        with suppress(OSError):  # the terminal has gone
            print(summary.line(), file=sys.stderr)
    if command.json:
        _print_json(summary.to_json(), results)
    return summary.exit_code


def _show_plan(plan: Plan, command: Command, results: TextIO) -> ExitCode:
    keys = {
        "do": [photo.key for photo in plan.pending],
        "wait": [photo.key for photo in plan.waiting],
        "fail": [problem.key for problem in plan.problems],
    }
    if command.json:
        _print_json({"schema": SCHEMA, "exit_code": 0, "error": "", "plan": keys | {"skip": plan.finished}}, results)
        return ExitCode.OK
    for word, photos in keys.items():
        for key in photos:
            print(word, printable(key), file=results)
    counts = ", ".join(f"{word} {len(photos)}" for word, photos in keys.items())
    print(f"would {counts}, skip {plan.finished}; nothing was written", file=sys.stderr)
    return ExitCode.OK


def _give_up(code: ExitCode, message: str, command: Command, results: TextIO) -> ExitCode:
    log.error("%s", message)
    if command.json:
        _print_json({"schema": SCHEMA, "exit_code": int(code), "error": message}, results)
    return code


def _print_json(document: dict[str, Any], results: TextIO) -> None:
    print(json.dumps(document, indent=1), file=results, flush=True)


class _QuietParser(argparse.ArgumentParser):
    """Raises instead of leaving the process, to try whether words can be read."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _is_main_job(words: list[str]) -> bool:
    parser = _QuietParser(add_help=False)
    _add_arguments(parser)
    try:
        parser.parse_args(words)
    except ValueError:
        return False
    return True


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the main job, with --help and --version."""
    parser = argparse.ArgumentParser(
        prog="pii-blur",
        usage="%(prog)s INPUT OUTPUT PROB [options]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"pii-blur {__version__}")
    return parser


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="INPUT", type=Path, help="a photo, or a folder with all its sub-folders")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="folder for the results, elsewhere than INPUT")
    parser.add_argument(
        "prob",
        metavar="PROB",
        type=_typed(parse_prob),
        help="how sure the search must be, in per cent, 1 to 100; a lower number finds and hides more",
    )
    _add_what(parser.add_argument_group("what to hide"))
    _add_how(parser.add_argument_group("how to hide"))
    _add_side_files(parser.add_argument_group("side files (they tell where people stood: never inside OUTPUT)"))
    _add_running(parser.add_argument_group("running"))
    _add_reporting(parser.add_argument_group("reporting"))


def _add_what(group: argparse._ArgumentGroup) -> None:
    default, known = ",".join(label.word for label in DEFAULT_LABELS), ", ".join(label.word for label in Label)
    models = ", ".join(known_models())
    group.add_argument(
        "--classes",
        metavar="LIST",
        type=_typed(parse_labels),
        default=DEFAULT_LABELS,
        help=f"of {known} (default: {default})",
    )
    group.add_argument(
        "--threshold",
        metavar="CLASS=PERCENT",
        type=_typed(parse_threshold),
        action="append",
        default=[],
        help="another PROB for one class, e.g. person=25; may be given several times",
    )
    group.add_argument(
        "--views", choices=list(PLANS), default="balanced", help="how closely to look (default: %(default)s)"
    )
    group.add_argument(
        "--no-second-look",
        dest="second_look",
        action="store_false",
        help="do not look again at each thing found: a fifth faster, hides more that is nobody",
    )
    group.add_argument(
        "--model", metavar="NAME", default=DEFAULT_MODEL, help=f"{models}, or a folder (default: %(default)s)"
    )
    group.add_argument("--zones", metavar="FILE", type=Path, help="JSON: directions always or never hidden")
    group.add_argument("--trust-mark", action="store_true", help="copy photos that carry our mark without a search")


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--method", choices=list(METHODS), default="gaussian", help="(default: %(default)s)")
    group.add_argument(
        "--strength", metavar="FACTOR", type=float, default=1.0, help="2 blurs twice as wide (default: %(default)g)"
    )
    group.add_argument(
        "--grow", metavar="FACTOR", type=float, default=1.15, help="enlarge each box, 1 to 3 (default: %(default)g)"
    )
    group.add_argument(
        "--obfuscation-kernel",
        metavar="K,SIGMA,BOX",
        type=_typed(parse_kernel),
        help="understand.ai's blur of one size for all; only with --allow-weak",
    )
    group.add_argument("--allow-weak", action="store_true", help="permit what may leave people recognisable")


def _add_side_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--detections", metavar="DIR", type=Path, help="write what was found, one JSON a photo")
    group.add_argument(
        "--detections-format",
        choices=DETECTIONS_FORMATS,
        default="pii-blur",
        help="of these files (default: %(default)s)",
    )
    group.add_argument("--from-detections", metavar="DIR", type=Path, help="hide what such files say, do not search")
    group.add_argument("--preview", metavar="DIR", type=Path, help="write the results with boxes drawn on them")


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--workers", metavar="N", type=int, help="photos at a time (default: as the cores allow)")
    group.add_argument("--threads", metavar="N", type=int, help="threads per worker (default: as the cores allow)")
    group.add_argument(
        "--device", choices=DEVICES, default=DEFAULT_DEVICE, help="what the model runs on (default: %(default)s)"
    )
    group.add_argument("--force", action="store_true", help="do finished photos again")
    group.add_argument("--dry-run", action="store_true", help="say what would be done and write nothing")
    group.add_argument("--allow-empty", action="store_true", help="an INPUT without photos is no error")
    group.add_argument(
        "--image-extensions",
        metavar="LIST",
        type=_typed(parse_extensions),
        default=DEFAULT_EXTENSIONS,
        help=f"endings of photos, in any case (default: {','.join(DEFAULT_EXTENSIONS)})",
    )
    group.add_argument(
        "--settle",
        metavar="SECONDS",
        type=float,
        default=10.0,
        help="leave photos that changed so recently for the next run (default: %(default)g)",
    )
    group.add_argument("--journal", metavar="DIR", type=Path, help="keep the journal here (default: OUTPUT/.pii-blur)")


def _add_reporting(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", action="store_true", help="print a summary for programs on stdout")
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    loudness.add_argument("--verbose", action="store_true", help="say more, and where internal errors happened")


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return `parse` with its own words in argparse's message."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return typed
