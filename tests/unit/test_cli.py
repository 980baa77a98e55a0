"""The command line: what is refused before anything is opened, what comes out, and that the docs know every option."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from pii_blur import cli
from pii_blur.arguments import OPTIONS
from pii_blur.command import Command
from pii_blur.errors import ExitCode, MissingDependency
from pii_blur.labels import Label
from pii_blur.settings import Settings
from tests.fakes import FakeTask, make_photo, make_photos

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_photos(tmp_path / "in", a="blur", b="clean")
    return tmp_path / "in"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Put a stand-in in the pipeline's place; return the list of settings whose tools were asked for."""
    opened: list[Settings] = []

    def check_tools(settings: Settings, *, device: str) -> str:
        opened.append(settings)
        return "0" * 64

    pipeline = types.ModuleType("pii_blur.pipeline")
    pipeline.check_tools = check_tools  # type: ignore[attr-defined]
    pipeline.BlurTask = lambda settings, side, threads, trust_mark, device: FakeTask()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pii_blur.pipeline", pipeline)
    return opened


def parse(*words: str) -> Command:
    return cli.read_command(["in", "out", *words])


def run(source: Path, *words: str) -> int:
    return cli.main(["--settle", "0", "--workers", "0", str(source), str(source.parent / "out"), *words])


def test_three_words_do_the_main_job(source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    """INPUT OUTPUT PROB, one line a photo and one that sums up, nothing on stdout."""
    assert run(source, "40") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "a.jpg: hid 2 people, 1 vehicle (lossless; 0.0 s)" in err
    assert err.splitlines()[-1] == (
        "done 1, nothing found 1, skipped 0, waiting 0, failed 0; hidden: 2 people, 1 vehicle"
    )
    assert opened == [Settings(min_score=0.4)]


@pytest.mark.parametrize(("words", "score"), [("40", 0.40), ("37.5", 0.375), ("1", 0.01), ("100", 1.0), ("4e1", 0.4)])
def test_prob_is_a_percentage(words: str, score: float) -> None:
    """PROB / 100 is the least score; decimals are fine."""
    assert parse(words).settings().min_score == pytest.approx(score)


@pytest.mark.parametrize("prob", ["0", "0.99", "100.5", "-5", "forty", "40%", "nan", "inf", ""])
def test_prob_out_of_range_is_a_usage_error_before_anything_is_opened(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str], prob: str
) -> None:
    """Exit code 2, PROB named, OUTPUT not made."""
    with pytest.raises(SystemExit, match="2"):
        run(source, prob)
    assert "PROB" in capsys.readouterr().err
    assert not opened
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--grow", "0.5"), "--grow"),
        (("--strength", "0.5"), "--strength"),
        (("--strength", "nan"), "--strength"),
        (("--obfuscation-kernel", "21,2,9"), "--obfuscation-kernel"),
        (("--threshold", "motorcycle=20"), "--threshold"),
        (("--settle", "-1"), "--settle"),
        (("--threads", "0"), "--threads"),
        (("--image-extensions", ","), "--image-extensions"),
        (("--zones", "no such file"), "zones file"),
        (("--trust-mark", "--from-detections", "somewhere"), "--trust-mark with --from-detections"),
    ],
)
def test_values_that_settings_refuse_name_their_option(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    """One clear line, exit code 2, no traceback."""
    assert run(source, "40", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line
    assert not opened


@pytest.mark.parametrize(
    "words",
    [
        ("--classes", "person,dog"),
        ("--classes", ""),
        ("--threshold", "person"),
        ("--threshold", "person=0"),
        ("--threshold", "dog=20"),
        ("--views", "all"),
        ("--method", "ellipse"),
        ("--obfuscation-kernel", "21"),
        ("--workers", "many"),
        ("--grow", "wide"),
        ("--quiet", "--verbose"),
        ("--no-such-option",),
        ("--force-it",),
        ("--for",),
        ("extra",),
    ],
)
def test_words_that_cannot_be_read_are_usage_errors(source: Path, words: tuple[str, ...]) -> None:
    """Also abbreviations: they would change their meaning with the next option."""
    with pytest.raises(SystemExit, match="2"):
        run(source, "40", *words)


def test_options_reach_settings() -> None:
    """Every option that decides pixels."""
    settings = parse(
        *("40", "--classes", "person, Car,person", "--threshold", "car=60", "--threshold", "person=12.5"),
        *("--views", "fast", "--grow", "1.3", "--method", "solid", "--strength", "2", "--model", "other"),
    ).settings()
    assert settings.labels == (Label.PERSON, Label.CAR)
    assert settings.threshold(Label.PERSON) == pytest.approx(0.125)
    assert settings.threshold(Label.CAR) == pytest.approx(0.6)
    assert (settings.views, settings.grow, settings.method, settings.model) == ("fast", 1.3, "solid", "other")
    assert settings.strength.factor == 2.0
    assert settings.second_look
    assert not parse("40", "--no-second-look").settings().second_look


def test_weak_blur_needs_a_word() -> None:
    """--allow-weak, for the factor and for understand.ai's kernel."""
    settings = parse("40", "--strength", "0.5", "--obfuscation-kernel", "65,3,19", "--allow-weak").settings()
    assert (settings.strength.factor, settings.strength.kernel) == (0.5, (65, 3.0, 19))


def test_options_reach_the_run() -> None:
    """Every option that decides how the run behaves."""
    command = parse(
        *("40", "--image-extensions", "JPG,.tif", "--settle", "2.5", "--journal", "j", "--force", "--dry-run"),
        *("--allow-empty", "--detections", "d", "--detections-format", "understand-ai"),
        *("--from-detections", "f", "--preview", "p"),
    )
    options = command.options(workers=3)
    assert options.extensions == ("jpg", "tif")
    assert (options.settle, options.journal, options.workers) == (2.5, Path("j"), 3)
    assert options.force and options.dry_run and options.allow_empty
    assert parse("40", "--trust-mark").options(workers=1).trust_mark
    assert options.side == command.side_files()
    side = options.side
    assert (side.detections, side.from_detections, side.preview) == (Path("d"), Path("f"), Path("p"))
    assert side.detections_format == "understand-ai"


def test_defaults_are_those_of_settings() -> None:
    """The command line and the Python interface do the same."""
    assert parse("40").settings() == Settings()


def test_failed_photos_are_exit_code_4_and_in_the_json(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch with failures never looks like success."""
    make_photo(source / "c.jpg", "fail")
    assert run(source, "40", "--json") == 4
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["exit_code"] == 4
    assert [failure["photo"] for failure in document["failures"]] == ["c.jpg"]
    assert "c.jpg: failed: c.jpg: it is truncated [truncated]" in err


def test_no_photos_is_exit_code_5_unless_allowed(
    tmp_path: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """--allow-empty for runs by the clock."""
    (tmp_path / "in").mkdir()
    assert run(tmp_path / "in", "40", "--json") == 5
    assert json.loads(capsys.readouterr().out)["exit_code"] == 5
    assert run(tmp_path / "in", "40", "--allow-empty") == 0


def test_missing_program_is_exit_code_3(
    source: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first photo, and OUTPUT is not made."""

    def refuse(settings: Settings, *, device: str) -> str:
        raise MissingDependency("exiftool is missing; apt install libimage-exiftool-perl")

    monkeypatch.setattr(sys.modules["pii_blur.pipeline"], "check_tools", refuse)
    assert run(source, "40") == 3
    assert "exiftool is missing" in capsys.readouterr().err
    assert not (source.parent / "out").exists()


def test_internal_error_is_exit_code_1_and_one_line(
    source: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback comes with --verbose only."""

    def break_down(settings: Settings, *, device: str) -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(sys.modules["pii_blur.pipeline"], "check_tools", break_down)
    assert run(source, "40") == 1
    err = capsys.readouterr().err
    assert "internal error, please report" in err
    assert "Traceback" not in err
    assert run(source, "40", "--verbose") == 1
    assert "Traceback" in capsys.readouterr().err


def test_dry_run_lists_and_writes_nothing(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """On stdout, for people and for programs."""
    assert run(source, "40", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["do a.jpg", "do b.jpg"]
    assert "would do 2, wait 0, fail 0, skip 0; nothing was written" in err
    assert run(source, "40", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan == {"do": ["a.jpg", "b.jpg"], "wait": [], "fail": [], "skip": 0}
    assert not (source.parent / "out").exists()


def test_dry_run_lists_originals_that_would_go(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before somebody lets 10,000 of them be deleted."""
    assert run(source, "40") == 0
    capsys.readouterr()
    assert run(source, "40", "--dry-run", "--delete-source") == 0
    assert capsys.readouterr().out.splitlines() == ["retire a.jpg", "retire b.jpg"]
    assert (source / "a.jpg").exists()


def test_quiet_says_nothing_unless_something_is_wrong(
    source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """So that cron sends no mail for nothing."""
    assert run(source, "40", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    make_photo(source / "c.jpg", "fail")
    assert run(source, "40", "--quiet") == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_file_name_forges_a_line(source: Path, opened: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends and terminal commands in names are escaped."""
    make_photo(source / "x\n2026 error: \x1b[31mall is lost.jpg")
    assert run(source, "40") == 0
    err = capsys.readouterr().err
    assert r"x\n2026 error: \x1b[31mall is lost.jpg" in err
    assert "\x1b" not in err


def test_input_named_like_a_sub_command_is_still_the_main_job(
    tmp_path: Path, opened: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A numeric third word always means the main job, wherever the options stand."""
    called: list[list[str]] = []
    monkeypatch.setitem(cli.SUBCOMMANDS, "watch", lambda words: called.append(words) or 0)
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "watch", a="blur")
    tail = ["--settle", "0", "--workers", "0"]
    assert cli.main(["watch", "out", "40", *tail]) == 0
    assert cli.main(["watch", "--views", "fast", "out2", *tail, "40"]) == 0
    assert [(tmp_path / name / "a.jpg").exists() for name in ("out", "out2")] == [True, True]
    assert not called
    assert cli.main(["watch", "in", "out"]) == 0
    assert cli.main(["watch", "--help"]) == 0
    assert called == [["in", "out"], ["--help"]]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Both on stdout; the help says in which direction PROB works."""
    for word in ("--version", "--help"):
        with pytest.raises(SystemExit, match="0"):
            cli.main([word])
    out = capsys.readouterr().out
    assert out.startswith("pii-blur ")
    assert "a lower number finds and hides more" in " ".join(out.split())


def test_docs_know_every_option_and_no_other() -> None:
    """docs/usage.md and the table name the same options, choices and defaults."""
    usage = (DOCS / "usage.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1].split()[0]: line for line in usage.splitlines() if line.startswith("| `--")}
    options = [option for option in OPTIONS.values() if not option.is_word]
    assert rows.keys() == {option.shown for option in options} | {"--help", "--version"}
    for option in options:
        row = rows[option.shown]
        for choice in option.choices:
            assert f"`{choice}`" in row, f"{option.name} lacks {choice}"
        if option.default is not None and option.name not in ("classes", "image-extensions", "second-look"):
            assert option.is_switch or f"`{option.default}`" in row


def test_docs_know_every_exit_code() -> None:
    """docs/exit-codes.md has a row for each."""
    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = {int(line.split("|")[1]) for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert rows == {int(code) for code in ExitCode}
