"""The network and its training, where torch is installed (see training/requirements.txt); skipped elsewhere."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: training/requirements.txt")

from pii_blur.detect.card import read_card  # noqa: E402
from training.anchors import STRIDES, anchor_grid  # noqa: E402
from training.assign import LEFT_OUT, Anchors, assign  # noqa: E402
from training.loss import detection_loss  # noqa: E402
from training.network import Deployed, Network, load_weights  # noqa: E402
from training.pictures import CLASSES  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder of twelve pictures of bright bars on grey, in the form of the training data."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(5)
    lines = []
    with tarfile.open(folder / "images-00.tar", "w") as archive:
        for number in range(12):
            pixels = rng.integers(90, 130, (416, 416, 3), np.uint8)
            x, y = rng.integers(20, 250, 2)
            pixels[y : y + 120, x : x + 50] = (240, 200, 60)
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "WEBP", quality=80)
            entry = tarfile.TarInfo(f"highway_{number:05}.webp")
            entry.size = stream.tell()
            stream.seek(0)
            archive.addfile(entry, stream)
            labels = [[int(x), int(y), int(x) + 50, int(y) + 120, 0], [10, 10, 15, 18, 1]]
            line = {"file": entry.name, "set": "highway", "split": "train", "width": 416, "height": 416}
            lines.append(json.dumps(line | {"boxes": labels, "ignore": []}))
    (folder / "labels.jsonl").write_text("\n".join(lines))
    return folder


def start(data: Path, run: Path, *options: str) -> subprocess.Popen[str]:
    """Start a run of the training in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "training.train",
        str(data),
        str(run),
        "--warm-up",
        "2",
        "--device",
        "cpu",
        *options,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait, and show what went wrong."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


def test_the_network_is_the_seeds(shared: Path) -> None:
    """The seed's weights load, and give what the seed's model file gives."""
    onnxruntime = pytest.importorskip("onnxruntime")

    network = Network()
    load_weights(network, shared / "model" / "checkpoint.pth")
    picture = np.random.default_rng(0).integers(0, 256, (1, 640, 640, 3), np.uint8)
    picture[:, 200:400, 250:330] = 220
    session = onnxruntime.InferenceSession(str(shared / "model" / "model.onnx"), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": picture})
    with torch.no_grad():
        our_boxes, our_scores = Deployed(network, 640).eval()(torch.from_numpy(picture))
    np.testing.assert_allclose(our_scores.numpy(), scores, atol=1e-4)
    np.testing.assert_allclose(our_boxes.numpy(), boxes, atol=5e-3)


def test_the_model_file_is_the_network(tmp_path: Path) -> None:
    """Export checks itself; the card names the file's checksum, and the program accepts the folder."""
    pytest.importorskip("onnx")
    export = importlib.import_module("training.export")
    export.write_onnx(Network(), tmp_path / "model.onnx")
    model = importlib.import_module("onnx").load(tmp_path / "model.onnx")
    operations = [node.op_type for node in model.graph.node]
    assert "Pad" not in operations, "a padding of its own makes the network a third slower"
    prepared = tmp_path / "prepared.onnx"
    importlib.import_module("onnxruntime.quantization.shape_inference").quant_pre_process(
        tmp_path / "model.onnx", prepared, skip_symbolic_shape=True
    )
    model = importlib.import_module("onnx").load(prepared)
    stay_float = importlib.import_module("training.quantise").float_layers(model)
    backbone = sum(name.startswith("f.") and tensor.ndim == 4 for name, tensor in Network().state_dict().items())
    last = 2 * len(STRIDES)  # of scores and of boxes, once a level
    assert len(stay_float) == backbone + last, "the backbone does not bear rounding"
    export.write_card(tmp_path, "trial", "1", 7)
    card = read_card(tmp_path)
    assert (card.name, card.size) == ("trial", 640)
    assert len(card.labels) == len(CLASSES)


def test_the_mean_lies_half_way(tmp_path: Path) -> None:
    """Counters of batch norm are no weights; a state of a run counts with its averaged weights."""
    average = importlib.import_module("training.average")
    one, other = Network().state_dict(), Network().state_dict()
    torch.save(one, tmp_path / "one.pth")
    torch.save({"average": other, "step": 3}, tmp_path / "other.pth")
    middle = average.mean(tmp_path / "one.pth", tmp_path / "other.pth")
    assert set(middle) == set(one)
    torch.testing.assert_close(middle["co.weight"] * 2, one["co.weight"] + other["co.weight"])


def loss_of(quality: float, score: float, left_out: bool = False) -> tuple[float, float]:
    """Return the losses of one object whose predicted boxes overlap it by `quality` and have this score."""
    anchors = Anchors.of(320, 320)
    box = np.array([[100, 100, 164, 164]], np.float32)
    assigned = assign(anchors, box, np.zeros((0, 4), np.float32))
    if left_out:
        assigned[assigned < 0] = LEFT_OUT
    centres, strides, levels = (torch.from_numpy(part) for part in anchor_grid(320, 320))
    logits = torch.full((1, len(assigned), 5), -12.0)
    learns = assigned >= 0
    logits[0, torch.from_numpy(learns), 0] = float(np.log(score / (1 - score)))
    target = torch.tensor([[100.0, 100.0, 164.0, 100.0 + 64 * quality]])
    distances = torch.cat([centres - target[:, :2], target[:, 2:] - centres], dim=1) / strides[:, None]
    batch = torch.from_numpy(assigned)[None]
    parts = detection_loss(
        logits,
        distances[None],
        centres,
        strides,
        levels,
        batch,
        torch.from_numpy(box),
        torch.zeros(1, dtype=torch.long),
    )
    return float(parts[0]), float(parts[1])


def test_a_score_is_best_where_it_tells_the_overlap() -> None:
    """Neither more nor less sure than the box is good; better boxes cost less."""
    assert loss_of(0.7, 0.7)[0] < min(loss_of(0.7, 0.4)[0], loss_of(0.7, 0.95)[0])
    assert loss_of(1.0, 0.9)[1] == pytest.approx(0, abs=1e-5)
    assert loss_of(0.9, 0.9)[1] < loss_of(0.5, 0.5)[1]


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(data: Path, tmp_path: Path) -> None:
    """Six steps at once, or stopped by SIGTERM and started again: the same weights, and the loss falls into the log."""
    options = ("--steps", "6", "--processes", "1", "--workers", "0")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(data, whole, *options))
    process = start(data, broken, *options)
    while not (broken / "log.csv").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    finish(process)
    stopped_at = torch.load(broken / "state.pth", weights_only=True)["step"]
    finish(start(data, broken, *options))
    states = [torch.load(run / "state.pth", weights_only=True) for run in (whole, broken)]
    assert [state["step"] for state in states] == [6, 6]
    assert stopped_at < 6
    for part in ("network", "average"):
        for name, weight in states[0][part].items():
            torch.testing.assert_close(states[1][part][name], weight, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")
def test_two_processes_learn_one_network(data: Path, tmp_path: Path) -> None:
    """Each has its own crops; they end together, and only one writes."""
    finish(start(data, tmp_path / "run", "--steps", "2", "--processes", "2", "--workers", "0"))
    assert torch.load(tmp_path / "run" / "state.pth", weights_only=True)["step"] == 2
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 2
