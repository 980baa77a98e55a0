"""The import directions of docs/architecture.md. A new part of the package gets its line here, on purpose."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pii_blur"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each part of the package (a folder, or a file beside them) may import of the others, lowest layer first.
FOUNDATION = {"errors", "labels", "mask", "version"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "labels": set(),
    "certainty": set(),
    "mask": set(),  # how strongly each pixel is hidden: obfuscate says it, photo checks it
    "version": set(),
    "claim": {"sphere"},  # what a finished photo says of itself: settings make it, photo writes and reads it
    "sphere": set(),  # geometry has no idea what a car is,
    "detect": {"errors", "labels"},  # and a detector has no idea what a sphere is
    "weights": {"errors", "labels"},  # nor one of where models come from
    "zones": {"errors", "sphere"},
    "obfuscate": {"mask", "sphere"},
    "photo": {"claim", "errors", "mask", "sphere", "version"},
    "regions": {"labels", "sphere", "detect.detections"},
    "results": {"errors"},
    "settings": {"certainty", "claim", "labels", "obfuscate", "sphere", "zones"},
    "second_look": {"labels", "sphere", "detect", "regions"},
    "search": {"sphere", "detect", "photo", "regions", "second_look", "settings"},
    "regions_file": {"errors", "labels", "sphere", "detect", "photo", "regions", "results", "settings"},
    "pipeline": FOUNDATION
    | {"claim", "sphere", "detect", "obfuscate", "photo"}
    | {"regions", "results", "settings", "regions_file", "search"},
    "batch": FOUNDATION | {"results", "settings", "pipeline"},
    "cloud": FOUNDATION | {"results", "photo", "batch"},
    "cluster": FOUNDATION | {"results", "batch"},
    "http": FOUNDATION
    | {"sphere", "detect", "obfuscate", "photo", "regions", "regions_file", "results", "settings", "search"}
    | {"pipeline", "batch"},
}
FRONT = {
    *("arguments", "command", "command_line", "config_command", "configuration", "models_command"),
    *("progress", "report", "serve_command", "status_command", "streams", "values"),
}
BELOW_CLI = {*ALLOWED, *FRONT}
ALLOWED |= dict.fromkeys((*FRONT, "cli"), BELOW_CLI)
ALLOWED |= {"__init__": BELOW_CLI, "__main__": {"cli"}}

# Where a library with side effects, a heavy one or one that may be exchanged is known. All others of the standard
# library are free, all others of third parties are forbidden.
KNOWN_IN = {
    "anyio": ("http/",),
    "argparse": ("command_line.py", "models_command.py", "serve_command.py", "status_command.py"),
    "botocore": ("cloud/store.py",),
    "cryptography": ("http/panoramax/",),
    "ctypes": ("photo/turbojpeg.py", "photo/exiftool.py", "batch/worker.py"),
    "cv2": ("sphere/project.py", "obfuscate/", "photo/", "pipeline.py", "http/"),
    "dotenv": ("configuration.py",),
    "exiftool": ("photo/exiftool.py",),
    "fastapi": ("http/",),
    "h5py": ("weights/keras_file.py",),
    "http": ("weights/download.py",),
    "httpx": ("http/bmw/",),
    "multiprocessing": ("batch/",),
    "numpy": (
        *("sphere/", "detect/", "weights/", "obfuscate/", "photo/", "http/"),
        *("certainty.py", "regions.py", "regions_file.py", "second_look.py", "pipeline.py", "models_command.py"),
    ),
    "onnx": ("weights/graph.py",),
    "onnxruntime": ("detect/onnx_session.py",),
    "openvino": ("detect/openvino_session.py",),
    "PIL": ("photo/", "http/bmw/pictures.py"),
    "pillow_heif": ("photo/format_heif.py",),
    "prometheus_client": ("http/metrics.py",),
    "pydantic": ("http/",),
    "starlette": ("http/",),
    "ray": ("cluster/ray_connection.py",),
    "subprocess": ("photo/exiftool.py", "photo/jpegtran.py"),
    "tqdm": ("progress.py", "streams.py", "models_command.py"),
    "urllib": ("weights/download.py", "http/"),
    "uvicorn": ("http/server.py", "http/connections.py"),
    "watchfiles": ("batch/watching.py",),
}
PRINTS = ("cli.py", "config_command.py", "models_command.py", "progress.py", "status_command.py")


def _name(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def _imports(module: Path) -> Iterator[str]:
    """Yield the full name of every module imported anywhere in `module`, also inside functions."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(module)}:{node.lineno} imports relatively; write the full name"
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_imports_point_downwards(module: Path) -> None:
    """No part knows one above or beside it."""
    part = _name(module).removesuffix(".py").split("/", maxsplit=1)[0]
    assert part in ALLOWED, f"{part} is new: say in ALLOWED what it may know"
    for name in _imports(module):
        if name.split(".")[0] == PACKAGE.name:
            inner = name.removeprefix(f"{PACKAGE.name}.")
            reached = inner.split(".")[0]
            is_allowed = reached == part or {reached, inner} & ALLOWED[part]
            assert is_allowed, f"{_name(module)} must not know {name}"


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_libraries_are_known_in_their_place_only(module: Path) -> None:
    """Each exchangeable or heavy library is imported where its layer says, and no other third party anywhere."""
    for name in _imports(module):
        library = name.split(".")[0]
        if library in KNOWN_IN:
            assert _name(module).startswith(KNOWN_IN[library]), f"{_name(module)} must not know {library}"
        else:
            assert library in sys.stdlib_module_names or library == PACKAGE.name, f"{library} is no dependency of ours"


@pytest.mark.parametrize("module", [module for module in MODULES if _name(module) not in PRINTS], ids=_name)
def test_only_the_command_line_prints(module: Path) -> None:
    """Everything else logs or returns."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        assert not is_print, f"{_name(module)}:{getattr(node, 'lineno', 0)} prints"
