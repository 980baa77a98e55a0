"""Where settings come from: the command line, the environment, .env and pii-blur.toml; the first that speaks wins.

Reads files and variables; does not know what an option does. docs/configuration.md explains it to people.
"""

from __future__ import annotations

import difflib
import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from pii_blur.arguments import OPTIONS, OTHER_VARIABLES, PREFIX, Option
from pii_blur.batch.places import is_within
from pii_blur.errors import UsageFailure

TOML_NAME = "pii-blur.toml"
DOTENV_NAME = ".env"
COMMAND_LINE, ENVIRONMENT, DEFAULT = "command line", "environment", "default"

_VARIABLES = {option.variable: option for option in OPTIONS.values()}


@dataclass(frozen=True, slots=True)
class Given:
    """What one source says about one option.

    Attributes:
        text: the value as text, None where nobody says anything and there is no default.
        source: `COMMAND_LINE`, `ENVIRONMENT`, `DEFAULT`, or the path of a file.
        name: what the option is called there.
    """

    text: str | None
    source: str
    name: str

    def read(self, option: Option) -> Any:
        """Return the value.

        Raises:
            UsageFailure: the text is none of this option; names the source.
        """
        if self.text is None:
            return None
        try:
            return option.parse(self.text)
        except ValueError as error:
            where = "argument" if self.source == COMMAND_LINE else f"{self.source}:"
            raise UsageFailure(f"{where} {self.name}: {error}") from error


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force.

    Attributes:
        given: what counts for each option, by name, in the order of the table.
        files: the files that were read, the one that counts more first.
        is_found: whether the files were found in the working folder rather than named.
    """

    given: dict[str, Given]
    files: tuple[Path, ...]
    is_found: bool

    def values(self) -> dict[str, Any]:
        """Return the value of every option by its name in Python.

        Raises:
            UsageFailure: one cannot be read.
        """
        return {OPTIONS[name].attribute: given.read(OPTIONS[name]) for name, given in self.given.items()}

    def missing(self) -> list[str]:
        """Return which of INPUT, OUTPUT and PROB nobody says anything about."""
        return [OPTIONS[name].shown for name, given in self.given.items() if OPTIONS[name].is_word and not given.text]

    def refuse_files_among(self, photos: Path) -> None:
        """Refuse files that were found, not named, where INPUT's photos come from, and that decide anything.

        Args:
            photos: INPUT.

        Raises:
            UsageFailure: there is such a file.
        """
        # PRIVACY: who gives somebody photos must not decide what is hidden in them, or in those of others.
        in_force = {given.source for given in self.given.values()}
        for file in self.files if self.is_found else ():
            if str(file) in in_force and _lies_among(file, photos):
                where = "beside the photo" if photos.is_file() else "inside INPUT"
                raise UsageFailure(
                    f"{file} lies {where}, where others may have put it; move it, or name it by --config"
                )


def configure(texts: Mapping[str, str], environment: Mapping[str, str], folder: Path) -> Configuration:
    """Put all sources together.

    Args:
        texts: of the options that stand on the command line, by name.
        environment: this process's variables.
        folder: where files are looked for unless one is named.

    Raises:
        UsageFailure: a file cannot be read, says what is no option, or contradicts itself; or an option on the command
            line would do nothing.
    """
    words = {name: Given(text, COMMAND_LINE, OPTIONS[name].shown) for name, text in texts.items()}
    variables = _read_variables(environment, ENVIRONMENT)
    named = words.get("config") or variables.get("config")
    toml = named.read(OPTIONS["config"]) if named else folder / TOML_NAME
    dotenv = toml.parent / DOTENV_NAME
    if named and not toml.is_file():
        raise UsageFailure(f"the configuration '{toml}' does not exist")
    layers = [words, variables]
    files = [file for file in (dotenv, toml) if file.is_file()]
    for file in files:
        layers.append(_read_dotenv(file) if file == dotenv else _read_toml(file))
    given = _merge(layers)
    _refuse_idle(words, given)
    return Configuration(given, tuple(files), is_found=not named)


def _refuse_idle(words: Mapping[str, Given], given: Mapping[str, Given]) -> None:
    """Refuse options that would do nothing. Only on the command line: a file may hold them for another day."""
    for name, word in words.items():
        needed, _, value = OPTIONS[name].needs.partition("=")
        if not needed or (given[needed].text == value if value else _is_on(needed, given)):
            continue
        wanted = f"{OPTIONS[needed].shown} {value}".strip()
        raise UsageFailure(f"{word.name} does nothing without {wanted}; add that, or leave {word.name} out")


def _lies_among(file: Path, photos: Path) -> bool:
    """Whether `file`, or what it is a link to, lies in the folder `photos`, or in that of the one photo `photos`."""
    folders = file.parent, file.resolve().parent
    if not photos.is_file():
        return any(is_within(folder, photos) for folder in folders)
    theirs = photos.parent, photos.resolve().parent
    return any(is_within(one, other) and is_within(other, one) for one in folders for other in theirs)


def _merge(layers: list[dict[str, Given]]) -> dict[str, Given]:
    merged: dict[str, Given] = {}
    for layer in layers:
        above = dict(merged)
        for name, given in layer.items():
            if name in above or _is_on(OPTIONS[name].rival, above):
                continue
            if _is_on(OPTIONS[name].rival, layer) and _is_on(name, layer):
                rival = layer[OPTIONS[name].rival]
                raise UsageFailure(f"{given.source}: {given.name} and {rival.name} contradict each other")
            merged[name] = given
    return {name: merged.get(name) or Given(option.default, DEFAULT, "") for name, option in OPTIONS.items()}


def _is_on(name: str, layer: Mapping[str, Given]) -> bool:
    """Whether a layer says something about an option, other than that a switch is off."""
    given = layer.get(name)
    if given is None or given.text is None:
        return False
    return not OPTIONS[name].is_switch or bool(given.read(OPTIONS[name]))


def _read_variables(variables: Mapping[str, str], source: str) -> dict[str, Given]:
    """Return what the variables that begin like ours say; empty ones say nothing, as Docker Compose needs it."""
    found = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        option = _VARIABLES.get(variable)
        if option is None or (source != ENVIRONMENT and not option.is_in_files):
            raise _unknown(source, variable, _allowed(_VARIABLES, source))
        if text:
            found[option.name] = Given(text, source, variable)
    return found


def _read_dotenv(file: Path) -> dict[str, Given]:
    variables = {}
    for binding in parse_stream(io.StringIO(_read_text(file))):
        is_ours = PREFIX in binding.original.string.partition("#")[0]
        if is_ours and (binding.error or binding.value is None):
            raise UsageFailure(f"{file}, line {binding.original.line}: this is not of the form {PREFIX}NAME=VALUE")
        if binding.key is not None and binding.value is not None:
            variables[binding.key] = binding.value
    return _read_variables(variables, str(file))


def _read_toml(file: Path) -> dict[str, Given]:
    text = _read_text(file)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "; put paths with a \\ in 'single quotes'" if "\\" in text else ""
        raise UsageFailure(f"{file} is no TOML: {error}{hint}") from error
    found = {}
    for key, value in table.items():
        option = OPTIONS.get(key)
        if option is None or not option.is_in_files:
            raise _unknown(str(file), key, _allowed(OPTIONS, str(file)))
        found[key] = Given(_as_text(value, file, key), str(file), key)
    return found


def _as_text(value: Any, file: Path, key: str) -> str:
    """Return a value of TOML as it would stand on the command line.

    Raises:
        UsageFailure: it is of a kind that no option takes.
    """
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list():
            return ",".join(_as_text(one, file, key) for one in value)
        case dict() if key == "threshold":
            return ",".join(f"{name}={_as_text(one, file, key)}" for name, one in value.items())
    raise UsageFailure(f"{file}: {key}: this kind of value is not understood; give text, a number, or a list of them")


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageFailure(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageFailure(f"{file} is not in UTF-8; save it as UTF-8") from error


def _allowed(options: Mapping[str, Option], source: str) -> list[str]:
    return [name for name, option in options.items() if option.is_in_files or source == ENVIRONMENT]


def _unknown(source: str, name: str, known: list[str]) -> UsageFailure:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return UsageFailure(f"{source}: there is no option '{name}'; the nearest is '{nearest}'")
