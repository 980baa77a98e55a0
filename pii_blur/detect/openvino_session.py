"""The one place that knows OpenVINO: an engine for the same model files, faster on Intel's and AMD's processors."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency

try:
    import openvino
except ImportError as _missing:
    raise MissingDependency(
        "--device openvino needs the package openvino: pip install 'pii-blur[openvino]'"
    ) from _missing


class OpenVinoSession:
    """A model in memory, ready to run by several threads at once, on the CPU."""

    def __init__(self, file: Path, *, threads: int) -> None:
        """Load `file` for `threads` threads.

        Raises:
            MissingDependency: the file is no model that OpenVINO can run, or has other inputs or outputs than
                `images` -> `boxes`, `scores`.
        """
        hints = {
            # Its own choice differs from processor to processor (bfloat16 where there is such), and so would what is
            # found.
            "INFERENCE_PRECISION_HINT": "f32",
            # One thread a crop, as with ONNX Runtime.
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would be pinned to the same cores
        }
        try:
            self._model = openvino.Core().compile_model(str(file), "CPU", hints)
        except RuntimeError as error:
            raise MissingDependency(f"OpenVINO cannot load {file}: {error}") from error
        inputs = [name for port in self._model.inputs for name in port.get_names()]
        outputs = {name for port in self._model.outputs for name in port.get_names()}
        if "images" not in inputs or len(self._model.inputs) != 1 or not {"boxes", "scores"} <= outputs:
            raise MissingDependency(f"{file} must take 'images' and give 'boxes' and 'scores' (models/README.md)")
        self._of_thread = threading.local()

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run uint8 RGB (n, size, size, 3) and return boxes float32 (n, anchors, 4) and raw scores (n, anchors, k)."""
        request = getattr(self._of_thread, "request", None)
        if request is None:
            request = self._of_thread.request = self._model.create_infer_request()
        results = request.infer({"images": images})
        return results["boxes"].copy(), results["scores"].copy()

    def shrink(self, images: NDArray[np.uint8]) -> None:
        """Give back the memory that only runs need."""
        self._model.release_memory()
