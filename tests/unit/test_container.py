"""The files that make the container name what there is. tests/container.sh builds and runs the image itself."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def _copied() -> set[str]:
    """Return what the Dockerfile copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def test_what_is_copied_exists_and_is_let_through() -> None:
    """A forgotten exception in .dockerignore breaks the build on every machine but that of its author."""
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for source in _copied():
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_through, source


def test_all_that_the_wheel_holds_is_copied() -> None:
    """The image has the models and exiftool's configuration, for it may not fetch anything."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert set(targets["wheel"]["force-include"]) | set(targets["wheel"]["packages"]) <= _copied()


def test_image_has_the_programs_of_a_machine() -> None:
    """setup.sh and the image install the same Debian packages, so that what is tested is what runs."""
    of_machine = set(
        re.findall(r"lib(?:image-exiftool-perl|jpeg-turbo-progs|turbojpeg0)", (ROOT / "setup.sh").read_text())
    )
    of_image = set(shlex.split((ROOT / "container" / "programs.sh").read_text(encoding="utf-8"), comments=True))
    assert len(of_machine) == 3
    assert of_machine <= of_image


def test_every_variable_of_the_example_is_understood() -> None:
    """A copy of .env.example is read by Docker Compose and by the program, and neither refuses it."""
    from pii_blur.configuration import configure  # noqa: PLC0415

    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    names = re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for name in names:
        assert name.startswith("PII_BLUR_") or f"${{{name}:" in compose, name
    ours = dict(re.findall(r"^(?:# )?(PII_BLUR_[A-Z_]+)=(.+)$", example, re.MULTILINE))
    assert {"PII_BLUR_INPUT", "PII_BLUR_OUTPUT", "PII_BLUR_PROB"} < set(ours)
    configure({}, ours, ROOT / "tests").values()


def test_container_is_shut_in() -> None:
    """Nobody takes away by mistake what keeps photos in the container."""
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for line in ("network_mode: none", "read_only: true", "no-new-privileges:true", "cap_drop:"):
        assert line in compose, line
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    for stage in (one for one in stages if one.startswith("runtime AS ")):
        assert stage.rstrip().endswith("USER 10001:10001"), stage
