"""The program: argv -> a run -> an exit code. `arguments.py` lists the options, docs/usage.md explains them."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from pii_blur.batch.jobs import printable
from pii_blur.batch.places import find_places
from pii_blur.batch.plan import Plan, digest_run
from pii_blur.batch.runner import plan_run, run_batch
from pii_blur.batch.summary import SCHEMA, Summary
from pii_blur.cloud.batch import plan_cloud, run_cloud
from pii_blur.cloud.places import open_places
from pii_blur.cluster.engines import open_engine
from pii_blur.command import Command
from pii_blur.command_line import is_main_job, make_parser, split_words
from pii_blur.config_command import run_config
from pii_blur.configuration import configure
from pii_blur.errors import ExitCode, RunFailure, UsageFailure
from pii_blur.models_command import run_models
from pii_blur.progress import BarProgress, LineProgress
from pii_blur.serve_command import run_serve
from pii_blur.status_command import run_report, run_status
from pii_blur.streams import dropped_when_cut_off, exit_code_kept, logging_to, stdout_for_results, until_cut_off

log = logging.getLogger(__name__)

SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {
    "config": run_config,
    "models": run_models,
    "report": run_report,
    "serve": run_serve,
    "status": run_status,
}
"""Further commands by name. What reads as `INPUT OUTPUT PROB` is the main job, even where INPUT is named like one."""


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
    return until_cut_off(lambda: _main(words))


def _main(words: list[str]) -> int:
    if words and words[0] in SUBCOMMANDS and not is_main_job(words):
        return SUBCOMMANDS[words[0]](words[1:])
    command = read_command(words)
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


def read_command(words: list[str]) -> Command:
    """Return what is asked for, by `words` and wherever else settings may stand.

    Raises:
        SystemExit: 2 for what cannot be understood or contradicts itself, 0 after --help and --version.
    """
    parser = make_parser()
    texts = split_words(parser, words)
    try:
        configuration = configure(texts, os.environ, Path())
        command = Command(configuration.values())
        if isinstance(command.input, Path):
            configuration.refuse_files_among(command.input)
    except UsageFailure as failure:
        parser.error(str(failure))
    if missing := configuration.missing():
        where = "on the command line, in pii-blur.toml, in .env or as PII_BLUR_..."
        parser.error(f"{', '.join(missing)} must be given, {where} (docs/configuration.md)")
    return command


def _run(command: Command, results: TextIO) -> ExitCode:
    settings = command.settings()
    workers, threads = command.share()
    options = command.options(workers)
    places = open_places(command.input, command.output, options)
    if places is None:
        find_places(options)
    folders = options.written_folders if places is None else places.written_folders(options)
    engine = open_engine(
        command.engine, command.address, options, command.workers, command.threads, command.device, folders
    )
    # It loads the neural network's runtime, which nobody should wait for only to learn of a mistyped option.
    from pii_blur.pipeline import BlurTask, check_tools  # noqa: PLC0415

    run_digest = digest_run(options, settings.digest(), check_tools(settings, device=command.device))
    if options.dry_run:
        plan = plan_run(options, run_digest) if places is None else plan_cloud(options, places, run_digest)
        return _show_plan(plan, command, results)
    log.debug("%d workers, %d threads each", workers, threads)
    task = BlurTask(settings, options.side, threads, options.trust_mark, command.device)
    progress = BarProgress(sys.stderr) if sys.stderr.isatty() and not command.quiet else LineProgress()
    run = run_batch if places is None else partial(run_cloud, places=places)
    summary = run(options, task=task, run_digest=run_digest, progress=progress, engine=engine)
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
    if command.done or command.delete_source:
        keys["retire"] = [photo.key for photo in plan.retiring]
    if command.json:
        _print_json({"schema": SCHEMA, "exit_code": 0, "error": "", "plan": keys | {"skip": plan.finished}}, results)
        return ExitCode.OK
    with dropped_when_cut_off(results):
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
    with dropped_when_cut_off(results):
        print(json.dumps(document, indent=1), file=results)
