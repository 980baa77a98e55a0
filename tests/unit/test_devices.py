"""A device that is not there is an error before the first photo, and one that is there finds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pii_blur.detect.detector import load_detector
from pii_blur.detect.devices import DEVICES, check_device, open_session
from pii_blur.detect.model_store import find_model
from pii_blur.detect.onnx_session import OnnxSession
from pii_blur.errors import MissingDependency
from pii_blur.pipeline import check_tools
from pii_blur.settings import DEFAULT_MODEL, Settings
from tests.golden.test_model_outputs import crops

FOR_GPUS = "street-retinanet-float"
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}


@pytest.mark.parametrize("device", PROVIDERS)
def test_a_missing_device_is_an_error_and_never_the_cpu(device: str) -> None:
    """It says what to install."""
    if PROVIDERS[device] in onnxruntime.get_available_providers():
        pytest.skip(f"{device} is there")
    with pytest.raises(MissingDependency, match=f"--device {device} needs the package"):
        check_tools(Settings(model=FOR_GPUS), device=device)
    with pytest.raises(MissingDependency, match=f"--device {device} needs the package"):
        load_detector(FOR_GPUS, device)
    with pytest.raises(MissingDependency, match=f"not for {device}"):
        load_detector(DEFAULT_MODEL, device)


def test_an_unknown_device_is_an_error() -> None:
    """From Python as well, where no command line checks the word."""
    with pytest.raises(MissingDependency, match="'gpu'"):
        check_device("gpu")


def test_a_provider_that_does_not_start_is_an_error() -> None:
    """ONNX Runtime itself only warns and takes the CPU."""
    with pytest.raises(MissingDependency, match="CUDAExecutionProvider"):
        OnnxSession(find_model(DEFAULT_MODEL).file, "CUDAExecutionProvider", "get the driver")


@pytest.mark.parametrize("model", [DEFAULT_MODEL, FOR_GPUS])
def test_openvino_finds_what_onnx_runtime_finds(model: str) -> None:
    """Within what docs/usage.md states, before repeats are dropped: a pixel and a half, a hundredth of a score."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    file = find_model(model).file
    one, other = (open_session(file, device, threads=2) for device in ("cpu", "openvino"))
    for crop in crops().values():
        (boxes, scores), (their_boxes, their_scores) = one.run(crop[None]), other.run(crop[None])
        matters = scores.max(axis=2) > 0.1
        assert matters.any()
        np.testing.assert_allclose(their_boxes[matters], boxes[matters], atol=1.5)
        np.testing.assert_allclose(their_scores[matters], scores[matters], atol=0.01)


def test_openvino_refuses_what_is_no_model(tmp_path: Path) -> None:
    """In our words."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from pii_blur.detect.openvino_session import OpenVinoSession  # noqa: PLC0415

    file = tmp_path / "model.onnx"
    file.write_bytes(b"not a model")
    with pytest.raises(MissingDependency, match="OpenVINO cannot load"):
        OpenVinoSession(file, threads=1)


def test_the_image_for_cards_names_a_model_that_is_made_for_them() -> None:
    """The default is not: without a name every run in it would end with an error."""
    root = Path(__file__).resolve().parents[2]
    for file, device in (("Dockerfile", "PII_BLUR_DEVICE=cuda "), ("compose.yaml", "PII_BLUR_DEVICE: cuda\n")):
        words = (root / file).read_text(encoding="utf-8").partition(device)[2].split(maxsplit=2)
        assert words[0].startswith("PII_BLUR_MODEL")
        assert FOR_GPUS in " ".join(words[:2])
    find_model(FOR_GPUS).check_made_for("cuda")


def test_the_devices_of_the_help_are_those_that_can_be_opened() -> None:
    """One table serves both."""
    assert set(DEVICES) == {"cpu", "openvino", *PROVIDERS}
