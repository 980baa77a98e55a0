"""`pii-blur models`: what models there are, and how the published weights become one. docs/models.md explains it."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

from pii_blur.detect.card import read_card
from pii_blur.detect.detector import load_detector
from pii_blur.detect.model_store import find_model, known_models, models_folder, weights_files
from pii_blur.errors import ExitCode, MissingDependency, RunFailure
from pii_blur.streams import logging_to, stdout_for_results
from pii_blur.weights.convert import DEFAULT_SIZE, choose_target, convert
from pii_blur.weights.download import download
from pii_blur.weights.graph import import_onnx
from pii_blur.weights.keras_file import import_h5py
from pii_blur.weights.known import PUBLISHED, Published, find_published

log = logging.getLogger(__name__)

DESCRIPTION = """\
Models: what is there, and the ResNet-50 weights of the pii-blur of 2020 and of ImageAI for those who want them.
"""

EXAMPLES = """\
examples:
  pii-blur models list
  pii-blur models add resnet50_coco_best_v2.0.1.h5
  pii-blur models download torchvision --size 640
  pii-blur photos public 40 --model resnet50-keras-2.0-800

add and download need two more packages: pip install 'pii-blur[convert]'
"""


def run_models(words: list[str]) -> int:
    """Run `pii-blur models WORDS`.

    Returns:
        An `ExitCode`.

    Raises:
        SystemExit: 2 for words that cannot be read, 0 after --help.
    """
    arguments = make_parser().parse_args(words)
    with stdout_for_results() as results, logging_to(sys.stderr, logging.INFO):
        try:
            return int(arguments.run(arguments, results))
        except RunFailure as failure:
            log.error("%s", failure)
            return failure.exit_code
        except KeyboardInterrupt:
            log.error("stopped")
            return ExitCode.INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all four subcommands."""
    parser = argparse.ArgumentParser(
        prog="pii-blur models",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _command(commands, "list", _list, "say which models are here, and which weights can be made into one")
    adding = _command(commands, "add", _add, "make a model of a file of published weights")
    adding.add_argument("file", metavar="FILE", type=Path, help="the file, or the name of one that lies in models/")
    adding.add_argument("--name", default="", help="of the new model (default: after network and size)")
    fetching = _command(commands, "download", _download, "fetch published weights and make a model of them")
    fetching.add_argument("published", metavar="NAME", help=", ".join(one.name for one in PUBLISHED))
    fetching.add_argument("--name", default="", help="of the new model (default: after network and size)")
    for making in (adding, fetching):
        making.add_argument(
            "--size",
            metavar="PIXELS",
            type=int,
            default=DEFAULT_SIZE,
            help="side of the crops it looks at, a multiple of 32; half of it costs a quarter (default: %(default)d)",
        )
        making.add_argument("--force", action="store_true", help="replace a model of that name")
    verifying = _command(commands, "verify", _verify, "check files against their checksums and try the models out")
    verifying.add_argument("names", metavar="NAME", nargs="*", help="models or files of weights (default: all)")
    for command in (adding, fetching):
        command.add_argument(
            "--folder", metavar="DIR", type=Path, help="the folder for models (default: where the others are)"
        )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, TextIO], ExitCode],
    help_text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help_text, description=f"{help_text.capitalize()}.", allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def _list(_: argparse.Namespace, results: TextIO) -> ExitCode:
    print(f"models in {models_folder()}:", file=results)
    for name in known_models():
        try:
            card = read_card(models_folder() / name)
            print(f"  {name:<28} {card.version:<10} {card.size:>5} px  {card.licence}", file=results)
        except MissingDependency as error:
            print(f"  {name:<28} unusable: {error}", file=results)
    if files := weights_files():
        print("weights that a model can be made of:", file=results)
        for file in files:
            print(f"  {file.name:<44} pii-blur models add {file.name}", file=results)
    print("published weights:", file=results)
    for one in PUBLISHED:
        how = "checksum known" if one.sha256 else "no checksum published"
        print(f"  {one.name:<12} {one.megabytes:>5} MB  {one.family.licence:<13} {how}", file=results)
        print(f"      {one.url}", file=results)
    return ExitCode.OK


def _add(arguments: argparse.Namespace, results: TextIO) -> ExitCode:
    file = _lying_here(arguments.file)
    one = _published_as(file)
    if one is not None and file.is_file():
        try:
            one.check(file)
        except MissingDependency as error:
            if one.is_sha256_official:
                raise
            log.warning("%s; going on, since only others than its publisher have stated a checksum", error)
    return _convert(file, arguments, results)


def _download(arguments: argparse.Namespace, results: TextIO) -> ExitCode:
    one = find_published(arguments.published)
    folder = arguments.folder or models_folder()
    # Whatever would stop the conversion is better known now than after 150 MB.
    import_onnx()
    import_h5py()
    choose_target(folder, one.family, size=arguments.size, name=arguments.name, is_replacing=arguments.force)
    file = folder / one.file_name
    if file.exists():
        log.info("%s is there already", file)
        one.check(file)
    else:
        log.info("fetching %s (%d MB, %s)", one.url, one.megabytes, one.family.licence)
        with _byte_bar(sys.stderr) as progress:
            download(one.url, file, one.check, progress)
        if not one.sha256:
            log.warning("nobody has published a checksum of this file: that it is the right one rests on https alone")
    return _convert(file, arguments, results)


def _convert(file: Path, arguments: argparse.Namespace, results: TextIO) -> ExitCode:
    folder = arguments.folder or models_folder()
    log.info("converting %s", file)
    made = convert(file, folder, size=arguments.size, name=arguments.name, is_replacing=arguments.force, check=_try_out)
    print(made, file=results)
    used = made.name if folder == models_folder() else made
    log.info("done; use it with: pii-blur INPUT OUTPUT PROB --model %s", used)
    return ExitCode.OK


def _verify(arguments: argparse.Namespace, results: TextIO) -> ExitCode:
    code = ExitCode.OK
    names = arguments.names or [*known_models(), *(file.name for file in weights_files())]
    for name in names:
        try:
            print(_verify_one(name), file=results, flush=True)
        except RunFailure as failure:
            print(f"bad  {name}: {failure}", file=results, flush=True)
            code = ExitCode.MISSING_DEPENDENCY
    return code


def _verify_one(name: str) -> str:
    """Return what could be said of a model or of a file of weights."""
    file = _lying_here(Path(name))
    if not file.is_file():
        _try_out(Path(name))
        return f"ok   {name}: checksum right, runs"
    one = _published_as(file)
    if one is None:
        return f"??   {name}: called like none of the published files, so there is nothing to compare it with"
    one.check(file)
    return f"ok   {name}: checksum right" if one.sha256 else f"??   {name}: nobody has published its checksum"


def _try_out(model: Path) -> None:
    """Let a model look at a grey picture: that it loads and gives numbers is worth knowing before it gets its name."""
    card = find_model(model)
    grey = np.full((card.size, card.size, 3), 128, np.uint8)
    load_detector(model).detect(grey, dict.fromkeys(card.labels, 0.5))


def _published_as(file: Path) -> Published | None:
    return next((one for one in PUBLISHED if one.file_name == file.name), None)


def _lying_here(file: Path) -> Path:
    """Return where a file is: at its path, or among the models."""
    inside = models_folder() / file.name
    return inside if file.name == str(file) and not file.exists() and inside.is_file() else file


@contextmanager
def _byte_bar(stream: TextIO) -> Iterator[Callable[[int, int | None], None]]:
    """Yield what draws a bar of bytes; where no person is watching, nothing is drawn."""
    with tqdm(unit="B", unit_scale=True, file=stream, disable=not stream.isatty(), dynamic_ncols=True) as bar:

        def show(done: int, whole: int | None) -> None:
            bar.total = whole
            bar.update(done - bar.n)

        yield show
