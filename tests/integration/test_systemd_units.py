"""The units of contrib/systemd: systemd takes them, and what they call exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pii_blur.command_line import make_parser
from pii_blur.errors import ExitCode
from pii_blur.status_command import run_status

UNITS = Path(__file__).resolve().parents[2] / "contrib" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Misspelled keys, units that are started and do not exist, times that make no sense."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS.glob("pii-blur*.*"):
        text = re.sub(r"/opt/pii-blur/bin/[\w-]+", shutil.which("true") or "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES, ids=lambda file: file.name)
def test_commands_can_be_read(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that is renamed must not be noticed by the alert at night."""
    (words,) = re.findall(r"^ExecStart=/opt/pii-blur/bin/(.+)$", service.read_text(), re.MULTILINE)
    program, *words = words.split()
    if program == "pii-blur-alert":
        assert (UNITS / program).stat().st_mode & 0o111
    elif words[:1] == ["status"]:
        with pytest.raises(SystemExit) as ended:
            run_status([*words[1:], "--help"])
        assert ended.value.code == 0
        assert "--max-age" in capsys.readouterr().out
    else:
        make_parser().parse_args(words)


@pytest.mark.parametrize("service", SERVICES, ids=lambda file: file.name)
def test_exit_codes_are_ours(service: Path) -> None:
    """What counts as success, and what is not tried again."""
    for numbers in re.findall(r"^(?:SuccessExitStatus|RestartPreventExitStatus)=(.+)$", service.read_text(), re.M):
        for number in numbers.split():
            assert int(number) in set(ExitCode)


def test_workers_that_are_killed_for_memory_do_not_end_the_run() -> None:
    """Systemd's default is to stop the whole service."""
    for service in SERVICES:
        text = service.read_text()
        if "MemoryMax" in text:
            assert "OOMPolicy=continue" in text


@pytest.mark.parametrize("name", ["pii-blur", "pii-blur-watch", "pii-blur-check"])
def test_who_stops_a_run_is_not_alerted(name: str) -> None:
    """Before an update, say, or when the machine goes down."""
    (codes,) = re.findall(r"^SuccessExitStatus=(.+)$", (UNITS / f"{name}.service").read_text(), re.M)
    assert str(int(ExitCode.TERMINATED)) in codes.split()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_alert_names_a_signal_as_the_table_of_codes_does(tmp_path: Path) -> None:
    """Systemd gives its bare number, and 9 is no exit code of ours."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\ncase $2 in *Code) echo 2 ;; *) echo 9 ;; esac\n")
    (tmp_path / "systemctl").chmod(0o755)
    command = [UNITS / "pii-blur-alert", "pii-blur.service"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "exit code 137" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize("works", [True, False])
def test_alert_names_the_unit_and_says_whether_it_got_through(tmp_path: Path, works: bool) -> None:
    """By mail and by a web address; a message that does not get through is a failure of its own in the log."""
    for name in ("sendmail", "curl"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\n{{ echo "$@"; [ {name} = curl ] || cat; }} > {tmp_path}/{name}.txt\nexit {int(not works)}\n'
        )
        program.chmod(0o755)
    (tmp_path / "systemctl").write_text("#!/bin/sh\ncase $2 in *Code) echo 1 ;; *) echo 6 ;; esac\n")
    (tmp_path / "systemctl").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "ALERT_MAIL": "you@example.org",
        "ALERT_URL": "https://a.example/b",
    }
    done = subprocess.run([UNITS / "pii-blur-alert", "pii-blur.service"], env=environment, timeout=60, check=False)
    assert (done.returncode == 0) is works
    mail, call = ((tmp_path / f"{name}.txt").read_text() for name in ("sendmail", "curl"))
    for told in (mail, call):
        assert "pii-blur.service on " in told
        assert "exit code 6" in told
    assert "To: you@example.org" in mail
    assert call.rstrip().endswith("https://a.example/b")
