"""What a model can run on. An engine is loaded only if asked for; a missing one is an error, never another one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency

# What ONNX Runtime calls them, and what has to be installed instead of, or beside, the ordinary package.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu and TensorRT"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime (on a Mac)"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml (on Windows)"),
}
_OPENVINO = "openvino"
DEVICES = (*_PROVIDERS, _OPENVINO)
DEFAULT_DEVICE = "cpu"


class Session(Protocol):
    """A model in memory; several threads may ask at once."""

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run uint8 RGB (n, size, size, 3) and return boxes float32 (n, anchors, 4) and raw scores (n, anchors, k)."""

    def shrink(self, images: NDArray[np.uint8]) -> None:
        """Give back the memory that only runs need; may cost a run on `images`."""


def check_device(device: str) -> None:
    """Make sure that `open_session` can use a device, as far as can be told without a model.

    Raises:
        MissingDependency: no such device here; says what to install.
    """
    if device == _OPENVINO:
        import pii_blur.detect.openvino_session  # noqa: F401, PLC0415

        return
    if device not in _PROVIDERS:
        raise MissingDependency(f"there is no device '{device}'; known are {', '.join(DEVICES)}")
    from pii_blur.detect.onnx_session import check_provider  # noqa: PLC0415

    check_provider(*_provider(device))


def open_session(file: Path, device: str, *, threads: int) -> Session:
    """Load a model on one of `DEVICES`.

    Args:
        file: ONNX.
        device: what to run it on.
        threads: how many threads will ask at once.

    Raises:
        MissingDependency: no such device here, or the file is no model that it can run.
    """
    check_device(device)
    if device == _OPENVINO:
        from pii_blur.detect.openvino_session import OpenVinoSession  # noqa: PLC0415

        return OpenVinoSession(file, threads=threads)
    from pii_blur.detect.onnx_session import OnnxSession  # noqa: PLC0415

    return OnnxSession(file, *_provider(device))


def _provider(device: str) -> tuple[str, str]:
    """Return ONNX Runtime's name of a device, and how to get it."""
    provider, package = _PROVIDERS[device]
    return provider, f"--device {device} needs the package {package} (docs/usage.md)"
