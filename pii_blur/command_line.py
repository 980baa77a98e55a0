"""The words of the command line -> text per option. Knows argparse; what the texts mean is for others."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from pii_blur.arguments import OPTIONS, SECTIONS, WORDS, Option
from pii_blur.detect.model_store import known_models
from pii_blur.version import __version__

DESCRIPTION = """\
Hide people and vehicles in 360-degree photos, for good, and keep everything else: place, names, metadata.
"""

EXAMPLES = """\
examples:
  pii-blur photos public 40                      every photo in photos/, results in public/
  pii-blur photos public 25 --views thorough     find more, take longer
  pii-blur street.jpg public 40 --method solid   one photo, flat colour instead of a blur
  pii-blur photos public 40 --dry-run            say what would be done
  pii-blur config                                say what is set, and where
  pii-blur status public                         say how things stand; a page of plots: pii-blur report public
  pii-blur models list                           which models there are; more with pii-blur models --help
  pii-blur serve                                 blur photos that other programs post: docs/service.md

Every option can also stand in pii-blur.toml, in .env or in the environment: docs/configuration.md.
After a stop of any kind the same command goes on: what is finished is skipped.
Exit codes: 0 all done, 4 some photos failed, others in docs/exit-codes.md.
"""


def make_parser(usage: str = "pii-blur INPUT OUTPUT PROB [options]") -> argparse.ArgumentParser:
    """Return the parser of the main job, with --help and --version."""
    parser = argparse.ArgumentParser(
        prog="pii-blur",
        usage=usage,
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_options(parser)
    parser.add_argument("--version", action="version", version=f"pii-blur {__version__}")
    return parser


def split_words(parser: argparse.ArgumentParser, words: list[str]) -> dict[str, str]:
    """Return the text of each option that stands in `words`, by name.

    Raises:
        SystemExit: 2 for words that are no options, 0 after --help and --version.
    """
    # Only this way may options stand between INPUT, OUTPUT and PROB, none of which is a must.
    found = vars(parser.parse_intermixed_args(_without_double_dash(words)))
    texts = {name: found[option.attribute] for name, option in OPTIONS.items() if option.attribute in found}
    return {name: ",".join(text) if isinstance(text, list) else text for name, text in texts.items()}


def _without_double_dash(words: list[str]) -> list[str]:
    """Return `words` with those behind ``--`` as paths that nobody takes for options; argparse cannot, intermixed."""
    if "--" not in words:
        return words
    cut = words.index("--")
    return words[:cut] + [f"./{word}" if word.startswith("-") else word for word in words[cut + 1 :]]


def is_main_job(words: list[str]) -> bool:
    """Whether `words` hold INPUT, OUTPUT and a PROB that is one, though INPUT may be named like a further command."""
    parser = _QuietParser(add_help=False, allow_abbrev=False)
    _add_options(parser)
    try:
        texts = split_words(parser, words)
        OPTIONS["prob"].parse(texts["prob"])
    except (ValueError, KeyError):
        return False
    return True


class _QuietParser(argparse.ArgumentParser):
    """Raises instead of leaving the process, to try whether words can be read."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _add_options(parser: argparse.ArgumentParser) -> None:
    for word in WORDS:
        parser.add_argument(
            word.attribute, metavar=word.metavar, nargs="?", default=argparse.SUPPRESS, help=_help(word)
        )
    for title, options in SECTIONS.items():
        group = parser.add_argument_group(title)
        for option in options:
            add_option(group, option)


def add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    """Let a parser take one option, as text; one that is not given leaves no attribute."""
    shared: dict[str, Any] = {"dest": option.attribute, "default": argparse.SUPPRESS}
    if option.is_switch:
        for flag, help_text in zip(option.flags, (_help(option), argparse.SUPPRESS), strict=True):
            meaning = "false" if flag.startswith("--no-") else "true"
            group.add_argument(flag, action="store_const", const=meaning, help=help_text, **shared)
    else:
        action = "append" if option.is_repeated else "store"
        group.add_argument(option.shown, action=action, metavar=option.metavar, help=_help(option), **shared)


def _help(option: Option) -> str:
    text = option.help.replace("{models}", ", ".join(known_models()))
    if option.default is not None and not option.is_switch:
        text = f"{text} (default: {option.default})".lstrip()
    return text.replace("%", "%%")
