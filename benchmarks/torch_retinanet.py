"""RetinaNet with a ResNet-50 and feature pyramid, as the 2020 recipe ran it, in plain torch and with random weights.

Layer for layer the network of Lin et al., "Focal Loss for Dense Object Detection" (arXiv 1708.02002), with 9 anchors a
cell and the 91 classes of COCO. Its cost does not depend on its weights, and its cost is all it is here for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

CLASSES = 91
ANCHORS = 9
WIDTH = 256
SIDE = 800


class Bottleneck(nn.Module):
    """Three convolutions and a short cut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            *_convolution(inputs, width, 1, 1),
            nn.ReLU(inplace=True),
            *_convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *_convolution(width, outputs, 1, 1),
        )
        is_same = inputs == outputs and stride == 1
        self.short_cut = nn.Identity() if is_same else nn.Sequential(*_convolution(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return functional.relu(self.body(x) + self.short_cut(x))


class RetinaNet(nn.Module):
    """Uint8 RGB (n, 3, 800, 800) in; class logits and box deltas of five levels out."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.stem = nn.Sequential(*_convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(
            [_stage(64, 64, 3, 1), _stage(256, 128, 4, 2), _stage(512, 256, 6, 2), _stage(1024, 512, 3, 2)]
        )
        self.lateral = nn.ModuleList([nn.Conv2d(inputs, WIDTH, 1) for inputs in (512, 1024, 2048)])
        self.smooth = nn.ModuleList([nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3)])
        self.p6 = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.classes = _head(ANCHORS * CLASSES)
        self.boxes = _head(ANCHORS * 4)

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return logits and deltas of P3 to P7."""
        x = self.stem((images.float() / 255.0 - self.mean) / self.std)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        levels: list[Tensor] = []
        for lateral, feature in zip(reversed(self.lateral), reversed(features[1:]), strict=True):
            level = lateral(feature)
            if levels:
                level = level + functional.interpolate(levels[0], size=level.shape[-2:], mode="nearest")
            levels.insert(0, level)
        levels = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        levels.append(self.p6(levels[-1]))
        levels.append(self.p7(functional.relu(levels[-1])))
        return [(self.classes(level), self.boxes(level)) for level in levels]


def make_network() -> RetinaNet:
    """Return the network, ready to run, with random weights that are the same every time."""
    torch.manual_seed(0)
    return RetinaNet().eval()


def describe(network: RetinaNet) -> str:
    """Return its size and work in words."""
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8))
    return f"{millions:.1f} M parameters, {counter.get_total_flops() / 1e9:.0f} GFLOP at {SIDE} x {SIDE}"


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> list[nn.Module]:
    """Return a convolution and its batch norm."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """Return one of the four stages of a ResNet-50."""
    rest = [Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(inputs, width, stride), *rest)


def _head(outputs: int) -> nn.Sequential:
    """Return four convolutions and the one that answers."""
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, outputs, 3, padding=1))
