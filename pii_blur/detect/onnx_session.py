"""The one place that knows ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency

# PRIVACY: it must stand before the import, which else leaves an id of this session in the temporary folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

onnxruntime.disable_telemetry_events()


def check_provider(provider: str, remedy: str) -> None:
    """Make sure that ONNX Runtime was built for `provider`.

    Raises:
        MissingDependency: it was not; says `remedy`.
    """
    if provider not in onnxruntime.get_available_providers():
        raise MissingDependency(f"ONNX Runtime cannot use {provider} here; {remedy}")


class OnnxSession:
    """A model in memory, ready to run by several threads at once."""

    def __init__(self, file: Path, provider: str, remedy: str) -> None:
        """Load `file`.

        Args:
            file: ONNX.
            provider: ONNX Runtime's name of what to run it on.
            remedy: what to install if it is not there.

        Raises:
            MissingDependency: the provider does not start, or the file is no model that it can run, or has other inputs
                or outputs than `images` -> `boxes`, `scores`.
        """
        options = onnxruntime.SessionOptions()
        # One thread a crop: two crops at a time on two cores are a third faster than two threads on one crop, which
        # wait for each other after every layer.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
        except Exception as error:  # ONNX Runtime has no public error class of its own
            raise MissingDependency(f"ONNX Runtime cannot load {file} for {provider}: {error}") from error
        # It runs on the CPU, with no more than a warning, if the provider's own libraries do not load.
        if provider not in self._session.get_providers():
            raise MissingDependency(
                f"ONNX Runtime could not start {provider}; {remedy}, and the driver that it asks for"
            )
        inputs = [entry.name for entry in self._session.get_inputs()]
        outputs = {entry.name for entry in self._session.get_outputs()}
        if inputs != ["images"] or not {"boxes", "scores"} <= outputs:
            raise MissingDependency(f"{file} must take 'images' and give 'boxes' and 'scores' (models/README.md)")

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run uint8 RGB (n, size, size, 3) and return boxes float32 (n, anchors, 4) and raw scores (n, anchors, k)."""
        boxes, scores = self._session.run(["boxes", "scores"], {"images": images})
        return boxes, scores

    def shrink(self, images: NDArray[np.uint8]) -> None:
        """Give back the memory that only runs need; it costs a run on `images`, as nothing else sets it free."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run([], {"images": images}, options)
