"""Every option of the main command, once.

The command line, pii-blur.toml, .env, the environment, --help and the test of docs/usage.md all go by this table, so an
option that stands here is known everywhere. All sources give text, and one function makes the value of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pii_blur.batch.options import DEFAULT_EXTENSIONS
from pii_blur.cluster.engines import DEFAULT_ENGINE, ENGINES
from pii_blur.detect.devices import DEFAULT_DEVICE, DEVICES
from pii_blur.labels import DEFAULT_LABELS, Label
from pii_blur.obfuscate.obfuscator import METHODS
from pii_blur.results import DETECTIONS_FORMATS
from pii_blur.settings import DEFAULT_MODEL
from pii_blur.sphere.views import PLANS
from pii_blur.values import (
    one_of,
    parse_extensions,
    parse_kernel,
    parse_labels,
    parse_model,
    parse_number,
    parse_path,
    parse_place,
    parse_prob,
    parse_switch,
    parse_thresholds,
    parse_whole,
)

PREFIX = "PII_BLUR_"

OTHER_VARIABLES = ("PII_BLUR_REFERENCE", "PII_BLUR_REQUIRE_EXIFTOOL", "PII_BLUR_SHARED")
"""Variables of tests and benchmarks, which begin like an option of ours."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option, or one of the words INPUT, OUTPUT and PROB.

    Attributes:
        name: as in pii-blur.toml; on the command line with two dashes before it, unless it is `is_word`.
        help: one line for --help; the default is added.
        parse: text -> value; a ValueError says what is needed.
        metavar: what --help shows for the value; empty for a switch.
        default: as text, None for "not set".
        choices: the values there are, if they can be counted.
        is_word: stands on the command line without a name.
        is_repeated: may be given several times; the texts are joined with commas.
        is_in_files: may stand in pii-blur.toml and .env.
        rival: the option that cannot be given together with this one.
        needs: the option without which this one does nothing, or ``option=value``.
    """

    name: str
    help: str
    parse: Callable[[str], Any] = parse_switch
    metavar: str = ""
    default: str | None = None
    choices: tuple[str, ...] = ()
    is_word: bool = False
    is_repeated: bool = False
    is_in_files: bool = True
    rival: str = ""
    needs: str = ""

    @property
    def attribute(self) -> str:
        """The name in Python."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The name in the environment and in .env."""
        return PREFIX + self.attribute.upper()

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value on the command line."""
        return self.parse is parse_switch

    @property
    def flags(self) -> tuple[str, str]:
        """What a switch is called on the command line: the one that changes the default, and its opposite."""
        there_and_back = f"--{self.name}", f"--no-{self.name}"
        return there_and_back if self.default == "false" else there_and_back[::-1]

    @property
    def shown(self) -> str:
        """The name that people know it by."""
        if self.is_word:
            return self.metavar
        return self.flags[0] if self.is_switch else f"--{self.name}"


def _switch(name: str, help_text: str, default: str = "false", rival: str = "") -> Option:
    return Option(name, help_text, default=default, rival=rival)


def _choice(name: str, help_text: str, choices: tuple[str, ...], default: str, needs: str = "") -> Option:
    return Option(name, help_text, one_of(choices), f"{{{','.join(choices)}}}", default, choices, needs=needs)


WORDS = (
    Option("input", "a photo, a folder with all its sub-folders, or s3://...", parse_place, "INPUT", is_word=True),
    Option("output", "folder for the results, elsewhere than INPUT, or s3://...", parse_place, "OUTPUT", is_word=True),
    Option(
        "prob",
        "how sure the search must be, in per cent, 1 to 100; a lower number finds and hides more",
        parse_prob,
        "PROB",
        is_word=True,
    ),
)

SECTIONS: dict[str, tuple[Option, ...]] = {
    "what to hide": (
        Option(
            "classes",
            f"of {', '.join(label.word for label in Label)}",
            parse_labels,
            "LIST",
            ",".join(label.word for label in DEFAULT_LABELS),
        ),
        Option(
            "threshold",
            "another PROB for one class, e.g. person=25; may be given several times",
            parse_thresholds,
            "CLASS=PERCENT",
            is_repeated=True,
        ),
        _choice("views", "how closely to look", tuple(PLANS), "balanced"),
        _switch(
            "second-look",
            "do not look again at each thing found: a fifth faster, hides more that is nobody",
            default="true",
        ),
        Option("model", "{models}, or a folder", parse_model, "NAME", DEFAULT_MODEL),
        Option("zones", "JSON: directions always or never hidden", parse_path, "FILE"),
        _switch("trust-mark", "search no photo whose mark says that all of this is hidden in it"),
    ),
    "how to hide": (
        _choice("method", "", tuple(METHODS), "gaussian"),
        Option("strength", "2 blurs twice as wide", parse_number, "FACTOR", "1"),
        Option("grow", "enlarge each box, 1 to 3", parse_number, "FACTOR", "1.15"),
        Option(
            "obfuscation-kernel",
            "understand.ai's blur of one size for all; only with --allow-weak",
            parse_kernel,
            "K,SIGMA,BOX",
        ),
        _switch("allow-weak", "permit what may leave people recognisable"),
    ),
    "side files (they tell where people stood: never inside OUTPUT)": (
        Option("detections", "write what was found, one JSON a photo", parse_path, "DIR"),
        _choice("detections-format", "of these files", DETECTIONS_FORMATS, "pii-blur", needs="detections"),
        Option("from-detections", "hide what such files say, do not search", parse_path, "DIR"),
        Option("preview", "write the results with boxes drawn on them", parse_path, "DIR"),
    ),
    "running": (
        Option("config", "read settings from FILE and from .env beside it", parse_path, "FILE", is_in_files=False),
        Option("workers", "photos at a time (default: as the cores allow)", parse_whole, "N"),
        Option("threads", "threads per worker (default: as the cores allow)", parse_whole, "N"),
        _choice("device", "what the model runs on", DEVICES, DEFAULT_DEVICE),
        _choice("engine", "processes of this machine, or a Ray cluster", ENGINES, DEFAULT_ENGINE),
        Option("address", "the Ray cluster: local, auto or HOST:PORT", str, "ADDRESS", "local", needs="engine=ray"),
        _switch("force", "do finished photos again"),
        _switch("dry-run", "say what would be done and write nothing"),
        _switch("allow-empty", "an INPUT without photos is no error"),
        Option(
            "image-extensions",
            "endings of photos, in any case",
            parse_extensions,
            "LIST",
            ",".join(DEFAULT_EXTENSIONS),
        ),
        Option(
            "settle",
            "leave photos that changed so recently for the next run",
            parse_number,
            "SECONDS",
            "10",
        ),
        _switch("watch", "stay, and do the photos that come, until a signal"),
        Option(
            "rescan",
            "look for new photos at least so often while watching",
            parse_number,
            "SECONDS",
            "60",
            needs="watch",
        ),
        Option(
            "tries",
            "how often a photo may fail before it is given up until it changes; 0: no end",
            parse_whole,
            "N",
            "3",
        ),
        Option("quarantine", "keep a hard link to, or a copy of, each photo that was given up", parse_path, "DIR"),
        Option("done", "move the originals of finished photos here", parse_path, "DIR", rival="delete-source"),
        _switch("delete-source", "delete the originals of finished photos", rival="done"),
        Option("journal", "keep the journal here (default: OUTPUT/.pii-blur)", parse_path, "DIR"),
    ),
    "reporting": (
        _switch("json", "print a summary for programs on stdout"),
        _switch("quiet", "say nothing unless something is wrong", rival="verbose"),
        _switch("verbose", "say more, and where internal errors happened", rival="quiet"),
    ),
}

OPTIONS: dict[str, Option] = {
    option.name: option for option in (*WORDS, *(option for section in SECTIONS.values() for option in section))
}
"""All of them by name."""
