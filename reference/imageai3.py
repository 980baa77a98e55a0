"""ImageAI 3's own RetinaNet, and torchvision's as it loads the published file: answers to compare with.

    python imageai3.py FOLDER

Reads FOLDER/crops.npy, uint8 RGB (n, size, size, 3). Writes FOLDER/torchvision.pth, random weights saved by torch, and
FOLDER/imageai3.npz and torchvision.npz with what the two networks make of the crops. Then, for each line on stdin, it
runs ImageAI's network on all crops, without suppressing boxes (which here is slow Python), and prints the seconds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision_shim  # noqa: F401  # before torchvision
from PIL import Image
from torchvision.models import _api
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights, retinanet_resnet50_fpn

WANTED = (1, 3, 4, 6, 8)  # person, car, motorcycle, bus, truck among COCO's 91


def main(folder: Path) -> None:
    """Write all answers, then run on request."""
    torch.set_num_threads(os.cpu_count() or 1)
    crops = np.load(folder / "crops.npy")
    images = [torch.from_numpy(crop.transpose(2, 0, 1) / np.float32(255)) for crop in crops]
    file = folder / "torchvision.pth"
    torch.save(random_network(images).state_dict(), file)
    detector = imageai_detector(file)
    network = detector._ObjectDetection__model
    np.savez(folder / "imageai3.npz", **answers(network, images), **imageai_answers(detector, crops, folder))
    np.savez(folder / "torchvision.npz", **answers(torchvision_network(file), images))
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        heads(network, images)
        print(time.perf_counter() - start, flush=True)


def random_network(images: list[torch.Tensor]) -> Any:
    """Return a network whose random weights give scores of all sizes, some hundred of them above the threshold."""
    torch.manual_seed(5)
    network = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).eval()
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            low = 0.1 if name.endswith("bn3") else 0.7
            torch.nn.init.uniform_(module.weight, low, 2 * low)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    for module in network.head.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    with torch.no_grad():
        logits, deltas = heads(network, images)
        named, placed = network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg
        named.weight *= 2.5 / logits.reshape(-1, 9 * 91).std(dim=0).mean()  # of one answer over the places
        placed.weight *= 0.3 / deltas.std()
        logits, _ = heads(network, images)
        named.bias += torch.from_numpy(random_bias(logits.reshape(-1, 9, 91).numpy())).flatten()
    return network


def random_bias(logits: np.ndarray) -> np.ndarray:
    """Return what shifts logits (anchors, shapes, classes) to where a few in a thousand pass 5 per cent.

    Of the wanted classes a part of the shapes stays: with many more, each level would be cut off at its 1,000 best.
    """
    numbers = np.random.default_rng(5)
    wanted = list(WANTED)
    high = np.quantile(logits[..., wanted], 0.9998, axis=0)
    bias = -20 - logits.max(axis=0)
    is_seen = numbers.uniform(size=high.shape) < 0.15
    bias[:, wanted] = np.where(is_seen, -2 - high, bias[:, wanted])
    # One reaches 60 per cent, below 50 ImageAI 3 says nothing: the one of which the fewest then pass 5.
    highest = logits[..., wanted].max(axis=0)
    passing = (logits[..., wanted] > highest - 3.3).sum(axis=0)
    shape, place = np.unravel_index(np.where(is_seen, passing, logits.size).argmin(), high.shape)
    bias[shape, wanted[place]] = 0.4 - highest[shape, place]
    return bias.astype(np.float32)


def heads(network: Any, images: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return raw class and box answers (n, anchors, ...), in one float32 tensor each."""
    network.transform.min_size = (images[0].shape[-1],)  # crops of 800 pixels, its default, it leaves as they are
    with torch.inference_mode():
        outputs = []
        for image in images:
            batch, _ = network.transform([image])
            outputs.append(network.head(list(network.backbone(batch.tensors).values())))
    return tuple(torch.cat([output[key] for output in outputs]).clone() for key in ("cls_logits", "bbox_regression"))


def answers(network: Any, images: list[torch.Tensor]) -> dict[str, np.ndarray]:
    """Return what a network says: raw heads of the wanted classes, and for each crop the boxes that it reports."""
    logits, deltas = heads(network, images)
    found: dict[str, np.ndarray] = {"logits": logits[..., list(WANTED)].numpy(), "deltas": deltas.numpy()}
    for number, image in enumerate(images):
        with torch.inference_mode():
            (result,) = network([image])
        found |= {f"{key}{number}": result[key].numpy() for key in ("boxes", "scores", "labels")}
    return found


def torchvision_network(file: Path) -> Any:
    """Return torchvision's network as it makes it of the published file, which it would download."""
    _api.WeightsEnum.get_state_dict = lambda *_, **__: torch.load(file)
    return retinanet_resnet50_fpn(weights=RetinaNet_ResNet50_FPN_Weights.COCO_V1).eval()


def imageai_detector(file: Path) -> Any:
    """Return ImageAI's detector with the weights of `file`."""
    from imageai.Detection import ObjectDetection  # noqa: PLC0415

    detector = ObjectDetection()
    detector.setModelTypeAsRetinaNet()
    detector.setModelPath(str(file))
    detector.useCPU()
    detector.loadModel()
    return detector


def imageai_answers(detector: Any, crops: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Return for each crop the names, per cents and whole-pixel boxes of ImageAI's own report."""
    found = {}
    for number, crop in enumerate(crops):
        picture = folder / f"crop{number}.png"  # a file, since it would write an array as JPEG
        Image.fromarray(crop).save(picture)
        report = detector.detectObjectsFromImage(
            input_image=str(picture), output_image_path=str(folder / "drawn.png"), minimum_percentage_probability=1
        )
        found[f"reported_names{number}"] = np.array([one["name"] for one in report])
        found[f"reported_percents{number}"] = np.array([one["percentage_probability"] for one in report])
        found[f"reported_boxes{number}"] = np.array([one["box_points"] for one in report]).reshape(-1, 4)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
