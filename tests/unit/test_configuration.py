"""Settings from files and variables: which wins, what is refused, and that every option can come from everywhere."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from pii_blur import cli
from pii_blur.arguments import OPTIONS, OTHER_VARIABLES, Option
from pii_blur.command import Command
from pii_blur.labels import Label
from pii_blur.values import parse_number, parse_whole
from tests.fakes import make_photo

ROOT = Path(__file__).resolve().parents[2]

EXAMPLES = {
    **{"prob": "37.5", "classes": "car,bus", "threshold": "person=25,car=60", "obfuscation-kernel": "65,3,19"},
    "image-extensions": "jpg,tif",
}


def example(option: Option) -> str:
    """Return a text that is good for an option and is not its default."""
    if option.is_switch:
        return "true" if option.default == "false" else "false"
    if option.parse in (parse_number, parse_whole):
        return "7"
    choices = [choice for choice in option.choices if choice != option.default]
    return choices[-1] if choices else EXAMPLES.get(option.name, "some/where")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without variables of ours."""
    for option in OPTIONS.values():
        monkeypatch.delenv(option.variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*words: str) -> Command:
    return cli.read_command(list(words) or ["in", "out", "40"])


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit, match="2"):
        read(*words)
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_option_comes_from_every_source(
    option: Option, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same text means the same, wherever it stands."""
    text, words = example(option), [] if option.is_word else ["in", "out", "40"]
    needed = {word.variable: "40" for word in OPTIONS.values() if word.is_word and word != option}
    wanted = option.parse(text)
    if option.needs:  # on the command line
        name, _, value = option.needs.partition("=")
        words += [OPTIONS[name].shown, *([] if OPTIONS[name].is_switch else [value or "some/where"])]
    if option.name == "config":
        (folder / "some").mkdir()
        (folder / "some" / "where").touch()

    def value(*more: str) -> object:
        return getattr(cli.read_command([*words, *more]), option.attribute)

    with monkeypatch.context() as patch:
        for name, needed_text in needed.items():
            patch.setenv(name, needed_text)
        patch.setenv(option.variable, text)
        assert value() == wanted
        patch.delenv(option.variable)
        if not option.is_word:
            assert value(*([option.flags[0]] if option.is_switch else [option.shown, text])) == wanted
        for file, line in ((".env", f"{option.variable}={text}"), ("pii-blur.toml", f'{option.name} = "{text}"')):
            (folder / file).write_text(line + "\n")
            if option.is_in_files:
                assert value() == wanted
            else:
                assert "there is no option" in refusal(capsys)
            (folder / file).unlink()


def test_the_first_of_command_line_environment_dotenv_and_toml_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may be overridden by what is said closer to the run."""
    (folder / "pii-blur.toml").write_text("grow = 2.1\nthreads = 1\nworkers = 1\nsettle = 1\n")
    (folder / ".env").write_text("PII_BLUR_THREADS=2\nPII_BLUR_WORKERS=2\nPII_BLUR_SETTLE=2\n")
    monkeypatch.setenv("PII_BLUR_WORKERS", "3")
    monkeypatch.setenv("PII_BLUR_SETTLE", "3")
    command = read("in", "out", "40", "--settle", "4")
    assert (command.grow, command.threads, command.workers, command.settle) == (2.1, 2, 3, 4)


def test_no_words_are_needed_where_everything_is_configured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker compose run --rm pii-blur` has it; words on the command line come first."""
    (folder / "pii-blur.toml").write_text('input = "photos"\noutput = "public"\n')
    monkeypatch.setenv("PII_BLUR_PROB", "30")
    command = cli.read_command([])
    assert (command.input, command.output, command.prob) == (Path("photos"), Path("public"), 30)
    assert cli.read_command(["others"]).input == Path("others")
    assert cli.read_command(["a", "--force", "b", "--views", "fast", "50"]).prob == 50


def test_paths_may_begin_with_a_dash(folder: Path) -> None:
    """After --, as everywhere."""
    command = cli.read_command(["--force", "--", "-in", "--out", "40"])
    assert (command.input, command.output, command.prob, command.force) == (Path("-in"), Path("--out"), 40, True)


def test_missing_words_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run without PROB is no run."""
    assert "OUTPUT, PROB must be given" in refusal(capsys, "photos")


def test_values_may_have_their_own_kind_in_toml(folder: Path) -> None:
    """Numbers, lists and switches as TOML writes them."""
    (folder / "pii-blur.toml").write_text(
        'classes = ["person", "car"]\nthreshold = {person = 25, car = 60}\nobfuscation-kernel = [65, 3, 19]\n'
        "prob = 40\nforce = true\nsecond-look = false\n"
    )
    command = read("in", "out")
    assert command.classes == (Label.PERSON, Label.CAR)
    assert command.threshold == ((Label.PERSON, 0.25), (Label.CAR, 0.6))
    assert command.obfuscation_kernel == (65, 3.0, 19)
    assert (command.prob, command.force, command.second_look) == (40, True, False)


def test_switches_can_be_undone_on_the_command_line(folder: Path) -> None:
    """What a file says is never the last word."""
    (folder / "pii-blur.toml").write_text("force = true\nsecond-look = false\nquiet = true\n")
    command = read("in", "out", "40", "--no-force", "--second-look", "--verbose")
    assert (command.force, command.second_look, command.quiet, command.verbose) == (False, True, False, True)
    assert read("in", "out", "40").quiet


@pytest.mark.parametrize("words", [("--quiet", "--verbose"), ()])
def test_contradictions_within_one_source_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Nobody knows which was meant."""
    if not words:
        (folder / ".env").write_text("PII_BLUR_QUIET=1\nPII_BLUR_VERBOSE=1\n")
    message = refusal(capsys, "in", "out", "40", *words)
    assert "contradict" in message
    assert words or ".env" in message


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (("--rescan", "5"), "--watch"),
        (("--rescan", "5", "--no-watch"), "--watch"),
        (("--address", "local"), "--engine ray"),
        (("--address", "head:6379", "--engine", "processes"), "--engine ray"),
        (("--detections-format", "understand-ai", "--from-detections", "d"), "--detections"),
    ],
)
def test_words_that_would_do_nothing_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], needed: str
) -> None:
    """Somebody believes in them: that the program watches, or that a cluster works."""
    (folder / "pii-blur.toml").write_text("watch = true\n" if "--no-watch" in words else "")
    message = refusal(capsys, "in", "out", "40", *words)
    assert f"{words[0]} does nothing without {needed};" in message


def test_files_may_hold_what_does_nothing_today(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what they say counts for words that need it."""
    (folder / "pii-blur.toml").write_text("rescan = 5\naddress = 'head:6379'\n")
    (folder / ".env").write_text("PII_BLUR_DETECTIONS_FORMAT=understand-ai\n")
    assert read().rescan == 5
    assert read("in", "out", "40", "--watch").rescan == 5
    (folder / ".env").write_text("PII_BLUR_WATCH=1\n")
    monkeypatch.setenv("PII_BLUR_ENGINE", "ray")
    assert read("in", "out", "40", "--rescan", "7", "--address", "auto").rescan == 7


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("pii-blur.toml", "view = 'fast'", ("'view'", "'views'")),
        ("pii-blur.toml", "image_extensions = 'jpg'", ("'image_extensions'", "'image-extensions'")),
        ("pii-blur.toml", "config = 'x'", ("'config'",)),
        ("pii-blur.toml", "[views]\nfast = 1", ("views",)),
        ("pii-blur.toml", "views = 'all'", ("views", "'all'", "balanced")),
        ("pii-blur.toml", "threshold = {person = 0}", ("threshold", "1 to 100")),
        ("pii-blur.toml", "force = 'perhaps'", ("force", "true or false")),
        ("pii-blur.toml", "views = \ngrow = 2", ("is no TOML", "line 1")),
        ("pii-blur.toml", 'input = "C:\\photos"', ("is no TOML", "'single quotes'")),
        (".env", "PII_BLUR_VIEW=fast", ("'PII_BLUR_VIEW'", "'PII_BLUR_VIEWS'")),
        (".env", "PII_BLUR_CONFIG=x", ("'PII_BLUR_CONFIG'",)),
        (".env", "A=1\nPII_BLUR_VIEWS=all", ("PII_BLUR_VIEWS", "'all'", "balanced")),
        (".env", "A=1\nPII_BLUR_FORCE", ("line 2", "NAME=VALUE")),
        (".env", 'PII_BLUR_ZONES="zones.json', ("line 1", "NAME=VALUE")),
    ],
)
def test_what_makes_no_sense_in_a_file_is_refused_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, named: tuple[str, ...]
) -> None:
    """A mistyped option that was passed over would show people: file, key and the nearest one are told."""
    (folder / file).write_text(text)
    message = refusal(capsys)
    assert all(word in message for word in (file, *named)), message


def test_unknown_variables_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The name, and the nearest one."""
    monkeypatch.setenv("PII_BLUR_CLASS", "person")
    message = refusal(capsys)
    assert all(word in message for word in ("environment", "'PII_BLUR_CLASS'", "'PII_BLUR_CLASSES'"))


def test_variables_of_others_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env belongs to other programs too, and tests and benchmarks have variables that begin like ours."""
    (folder / ".env").write_text("\ufeffOTHER=1\nnonsense of others\nVIEWS=all\nexport PII_BLUR_VIEWS='fast' # hm\n")
    for variable in OTHER_VARIABLES:
        monkeypatch.setenv(variable, "1")
    assert read().views == "fast"


def test_empty_variables_say_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker Compose hands on what is not set as empty."""
    (folder / ".env").write_text("PII_BLUR_VIEWS=fast\nPII_BLUR_ZONES=\n")
    monkeypatch.setenv("PII_BLUR_VIEWS", "")
    monkeypatch.setenv("PII_BLUR_WORKERS", "")
    command = read()
    assert (command.views, command.workers, command.zones) == ("fast", None, None)


def test_named_configuration_replaces_both_files_of_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--config FILE, or PII_BLUR_CONFIG."""
    (folder / "pii-blur.toml").write_text("grow = 2\n")
    (folder / ".env").write_text("PII_BLUR_THREADS=2\n")
    (folder / "etc").mkdir()
    (folder / "etc" / "street.toml").write_text("workers = 5\n")
    (folder / "etc" / ".env").write_text("PII_BLUR_SETTLE=5\n")
    command = read("in", "out", "40", "--config", "etc/street.toml")
    assert (command.grow, command.threads, command.workers, command.settle) == (1.15, None, 5, 5)
    monkeypatch.setenv("PII_BLUR_CONFIG", "etc/street.toml")
    assert read().workers == 5
    assert "'etc/none.toml' does not exist" in refusal(capsys, "in", "out", "40", "--config", "etc/none.toml")


def test_configuration_that_lies_among_the_photos_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever may upload photos must not decide what is hidden in those of others."""
    (folder / "pii-blur.toml").write_text('classes = "bus"\n')
    assert "lies inside INPUT" in refusal(capsys, ".", "../out", "40")
    assert read(".", "../out", "40", "--config", "pii-blur.toml").classes == (Label.BUS,)


def test_configuration_beside_a_single_photo_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody sends a folder with a photo and settings that hide nothing in it."""
    make_photo(folder / "sent" / "a.jpg")
    (folder / "sent" / "pii-blur.toml").write_text('classes = "bus"\n')
    (folder / "link.jpg").symlink_to(folder / "sent" / "a.jpg")
    monkeypatch.chdir(folder / "sent")
    for words in (("a.jpg", "../out", "40"), ("../link.jpg", "../out", "40"), ("config", "a.jpg")):
        with pytest.raises(SystemExit, match="2"):
            cli.main(list(words))
        assert "pii-blur.toml lies beside the photo" in capsys.readouterr().err
    assert read("a.jpg", "../out", "40", "--config", "pii-blur.toml").classes == (Label.BUS,)
    # Not the photo's but the user's: the folder that the command is started in, wherever below or above.
    monkeypatch.chdir(folder)
    (folder / ".env").write_text("PII_BLUR_GROW=2\n")
    assert read("sent/a.jpg", "out", "40").grow == 2


def test_links_do_not_smuggle_configuration_past_the_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may upload files may upload links: neither the link nor what it leads to may be theirs."""
    for name in ("theirs", "mine"):
        (folder / name).mkdir()
    (folder / "elsewhere.toml").write_text('classes = "bus"\n')
    (folder / "theirs" / "other.toml").write_text('classes = "bus"\n')
    (folder / "theirs" / "pii-blur.toml").symlink_to(folder / "elsewhere.toml")
    (folder / "mine" / "pii-blur.toml").symlink_to(folder / "theirs" / "other.toml")
    for name in ("theirs", "mine"):
        monkeypatch.chdir(folder / name)
        assert "lies inside INPUT" in refusal(capsys, str(folder / "theirs"), "../out", "40")


def test_a_file_of_other_programs_beside_a_photo_is_no_reason_to_refuse(folder: Path) -> None:
    """It decides nothing; nor does what the command line overrules."""
    make_photo(folder / "a.jpg")
    (folder / ".env").write_text("DATABASE=x\nPII_BLUR_GROW=1.0\n")
    assert read("a.jpg", "out", "40", "--grow", "2").grow == 2


def test_home_folder_is_meant_by_a_tilde(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell replaces it in a file."""
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".env").write_text("PII_BLUR_OUTPUT=~/public\nPII_BLUR_PROB=40\n")
    assert read("~in").output == folder / "public"
    assert read("~in").input == Path("~in")
    (folder / "pii-blur.toml").write_text('model = "~/models/mine"\n')
    assert read("in").model == str(folder / "models" / "mine")
    assert read("in", "--model", "street-retinanet").model == "street-retinanet"


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if option.metavar in ("DIR", "FILE")])
def test_every_path_may_begin_with_a_tilde(option: Option, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is added to the table some day."""
    monkeypatch.setenv("HOME", str(folder))
    assert option.parse("~/here") == folder / "here"


def test_config_says_what_is_in_force_and_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people and for programs, also where something is missing still."""
    (folder / "pii-blur.toml").write_text('input = "photos"\nviews = "fast"\n')
    (folder / ".env").write_text("PII_BLUR_PROB=30\n")
    monkeypatch.setenv("PII_BLUR_GROW", "2")
    assert cli.main(["config", "--force"]) == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert rows.keys() == OPTIONS.keys()
    assert rows["input"] == "photos pii-blur.toml"
    assert rows["prob"] == "30 PII_BLUR_PROB in .env"
    assert rows["grow"] == "2 PII_BLUR_GROW in environment"
    assert rows["force"] == "true command line"
    assert rows["method"] == "gaussian default"
    assert rows["output"] == "not set"
    assert "OUTPUT" in err
    assert cli.main(["config", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == [".env", "pii-blur.toml"]
    assert document["options"]["prob"] == {"value": "30", "source": ".env", "name": "PII_BLUR_PROB"}
    assert document["options"]["zones"]["value"] is None


def test_examples_of_the_docs_can_be_read(folder: Path) -> None:
    """As they stand in docs/configuration.md, and they say the same."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n)+", page, re.MULTILINE)]
    (toml,) = (block for block in blocks if "[threshold]" in block)
    (dotenv,) = (block for block in blocks if "PII_BLUR_INPUT=" in block)
    commands = []
    for file, text in (("pii-blur.toml", toml), (".env", dotenv)):
        (folder / file).write_text(text)
        commands.append(cli.read_command([]))
        (folder / file).unlink()
    first, second = commands
    assert (first.input, first.output, first.prob) == (second.input, second.output, second.prob)
    assert (first.views, first.second_look, second.second_look) == ("thorough", False, False)
    assert dict(first.threshold or ()) == {Label.PERSON: 0.25}
    assert dict(second.threshold or ()) == {Label.PERSON: 0.25, Label.CAR: 0.6}


def test_config_refuses_what_a_run_would_refuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To try a configuration out before the night."""
    (folder / "pii-blur.toml").write_text("view = 1\n")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["config"])
    assert "'view'" in capsys.readouterr().err


def test_every_variable_in_the_repository_is_known() -> None:
    """A variable of a tool that begins like ours would be refused as a mistyped option: it belongs in the list."""
    known = {option.variable for option in OPTIONS.values()} | set(OTHER_VARIABLES)
    files = [
        file
        for pattern in ("*.py", "*.sh", "*.md", "*.toml", "*.y*ml", "Dockerfile*", "*.service", "*.env*")
        for file in ROOT.rglob(pattern)
        if not {".venv", ".git"} & set(file.parts)
    ]
    files = [file for file in files if file != Path(__file__)]
    named = {
        name for file in files for name in re.findall(r"\bPII_BLUR_[A-Z_]*[A-Z]\b", file.read_text(errors="replace"))
    }
    assert len(files) > 100
    assert named <= known
