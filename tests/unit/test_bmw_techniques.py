"""Degrees, and the techniques of other packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pii_blur.errors import MissingDependency
from pii_blur.http.bmw.techniques import OWN, load_techniques, look_of
from tests.plugins import install

BY_NAME = {technique.name: technique for technique in OWN}
DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "service-bmw.md"
DEGREES = (0, 0.001, 0.1, 0.17, 0.3, 0.5, 0.9, 1)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for packages, on the path of this process."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    load_techniques.cache_clear()
    yield tmp_path
    load_techniques.cache_clear()
    for name in [name for name in sys.modules if name.startswith("plugin_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["blurring", "pixelating"])
@pytest.mark.parametrize("degree", DEGREES)
def test_no_degree_hides_so_little_that_it_can_be_undone(name: str, degree: float) -> None:
    """BMW's radius of 25 pixels times the degree leaves near faces recognisable; pixelating divided by zero at 0."""
    look = look_of(BY_NAME[name], degree)
    assert look.strength.erases
    assert not look.is_weak


@pytest.mark.parametrize("name", ["blurring", "pixelating"])
def test_what_was_raised_is_told_and_more_degree_is_more(name: str) -> None:
    """The client can be told; above the least, the degree still counts."""
    looks = [look_of(BY_NAME[name], degree) for degree in DEGREES]
    assert looks[0].is_raised
    assert not looks[-1].is_raised
    factors = [look.strength.factor for look in looks]
    assert factors == sorted(factors)
    assert factors[-1] > factors[0]


def test_blackening_is_opaque_or_refused() -> None:
    """Under 1 it is see-through."""
    look = look_of(BY_NAME["blackening"], 1)
    assert (look.method, look.opacity, look.is_weak) == ("black", 1, False)
    with pytest.raises(ValueError, match="see-through"):
        look_of(BY_NAME["blackening"], 0.99)


@pytest.mark.parametrize("technique", OWN, ids=lambda one: one.name)
def test_weak_degrees_need_the_operators_word(technique: object) -> None:
    """With it they are what they say."""
    assert look_of(technique, 0.1, allow_weak=True).is_weak  # type: ignore[arg-type]
    assert not look_of(technique, 1, allow_weak=True).is_weak  # type: ignore[arg-type]


def test_blackening_by_nothing_is_refused_always() -> None:
    """It would give the photo back as it was."""
    with pytest.raises(ValueError, match="hides nothing"):
        look_of(BY_NAME["blackening"], 0, allow_weak=True)


def test_a_technique_of_another_package_is_found(packages: Path) -> None:
    """By its entry point, with the classes it is for."""
    install(
        packages,
        "plugin_stripes",
        "stripes",
        "def draw(patch, degree):\n    return patch * 0 + 200\ndraw.classes = ['person']\n",
    )
    techniques = load_techniques()
    assert list(techniques) == ["blackening", "pixelating", "blurring", "stripes"]
    assert techniques["stripes"].suits("person")
    assert not techniques["stripes"].suits("car")


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("broken", "import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("broken", "raise SystemError('at import')\n", "at import"),
        ("broken", "draw = 5\n", "no function"),
        ("broken", "other = 5\n", "AttributeError"),
        ("broken", "def draw(patch):\n    return patch\n", "TypeError"),
        ("broken", "def draw(patch, degree):\n    return None\n", "NoneType"),
        ("broken", "def draw(patch, degree):\n    return patch[1:]\n", "uint8"),
        ("broken", "def draw(patch, degree):\n    return patch / 2\n", "float"),
        ("broken", "def draw(patch, degree):\n    return patch // int(degree)\n", "degree 0"),
        ("broken", "def draw(patch, degree):\n    return patch\ndraw.classes = 'person'\n", "classes"),
        ("blurring", "def draw(patch, degree):\n    return patch\n", "already"),
        ("Capital", "def draw(patch, degree):\n    return patch\n", "lower case"),
    ],
)
def test_a_broken_technique_is_an_error_at_the_start(packages: Path, name: str, code: str, why: str) -> None:
    """It names technique and package; the first photo is too late."""
    install(packages, "plugin_broken", name, code)
    with pytest.raises(MissingDependency, match=f"(?s){name}.*plugin-broken.*{why}"):
        load_techniques()


def test_the_technique_of_the_documentation_works(packages: Path) -> None:
    """As it stands in docs/service-bmw.md."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    install(packages, "plugin_documented", "stripes", code + "\ndraw = stripes\n")
    assert load_techniques()["stripes"].suits("face")
