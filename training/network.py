"""The compact RetinaNet: MobileNetV2 with folded batch norm, a feature pyramid from P3 to P7, two shared heads.

The names of the state dict (`f`, `lat`, `out`, `p6`, `p7`, `cls`, `reg`, `co`, `ro`, `sc`) are those of the seed's
checkpoint, so that its weights load as they are.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.anchors import ANCHOR_STRIDES, STRIDES, anchor_grid
from training.pictures import CLASSES

WIDTH = 96
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2 (Sandler et al., CVPR 2018): expansion, channels, repeats, stride of the first."""

C3, C4, C5 = 6, 13, 17
"""Numbers of the backbone's blocks that end at strides 8, 16 and 32."""


class SamePad(nn.Module):
    """TensorFlow's SAME padding, 3x3 kernel, even side: one on every side, or right and below at stride 2."""

    def __init__(self, stride: int) -> None:
        """Take the stride of the convolution that follows."""
        super().__init__()
        self.sides = (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pad with zeros."""
        return functional.pad(x, self.sides)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return padding, convolution and ReLU6; the batch norm is folded into weight and bias."""
    pad: list[nn.Module] = [SamePad(stride)] if kernel == 3 else []
    return [*pad, nn.Conv2d(inputs, outputs, kernel, stride, groups=groups), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to the input where shape allows."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        """Build the block."""
        super().__init__()
        wide = inputs * expansion
        parts = [nn.Sequential(*_convolution(inputs, wide, 1))] if expansion > 1 else []
        parts.append(nn.Sequential(*_convolution(wide, wide, 3, stride, groups=wide)))
        parts.append(nn.Sequential(nn.Conv2d(wide, outputs, 1)))
        self.c = nn.Sequential(*parts)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        return x + self.c(x) if self.shortcut else self.c(x)


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Return convolution, batch norm and, if wanted, ReLU."""
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*parts, nn.ReLU()) if relu else nn.Sequential(*parts)


class Network(nn.Module):
    """Images in [-1, 1], (n, 3, height, width), sides multiples of 32 -> raw scores and distances of all anchors."""

    def __init__(self) -> None:
        """Build the network with random weights."""
        super().__init__()
        blocks: list[nn.Module] = [nn.Sequential(*_convolution(3, 32, 3, 2))]
        channels = [32]
        for expansion, outputs, repeats, stride in BLOCKS:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(channels[-1], outputs, expansion, stride if repeat == 0 else 1))
                channels.append(outputs)
        self.f = nn.Sequential(*blocks)
        self.lat = nn.ModuleList([_normed(channels[block], WIDTH, 1, relu=False) for block in (C3, C4, C5)])
        self.out = nn.ModuleList([_normed(WIDTH, WIDTH, 3) for _ in range(3)])
        self.p6 = _normed(WIDTH, WIDTH, 3, 2)
        self.p7 = _normed(WIDTH, WIDTH, 3, 2)
        self.cls = nn.Sequential(*[_normed(WIDTH, WIDTH, 3) for _ in range(3)])
        self.reg = nn.Sequential(*[_normed(WIDTH, WIDTH, 3) for _ in range(3)])
        self.co = nn.Conv2d(WIDTH, len(CLASSES), 3, padding=1)
        self.ro = nn.Conv2d(WIDTH, 4, 3, padding=1)
        self.sc = nn.Parameter(torch.ones(len(STRIDES)))
        nn.init.constant_(self.co.bias, -4.6)  # a score of 0.01 at the start: nearly everything is background

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, anchors, classes) and distances left, top, right, bottom (n, anchors, 4) in strides."""
        logits, distances = [], []
        for level, features in enumerate(self._pyramid(images)):
            logits.append(self.co(self.cls(features)).flatten(2).transpose(1, 2))
            raw = self.ro(self.reg(features)).float() * self.sc[level] + ANCHOR_STRIDES / 2
            distances.append(functional.relu(raw).flatten(2).transpose(1, 2))
        return torch.cat(logits, dim=1).float(), torch.cat(distances, dim=1)

    def _pyramid(self, images: Tensor) -> list[Tensor]:
        """Return the features P3 to P7."""
        x, taken = images, []
        for number, block in enumerate(self.f):
            x = block(x)
            if number in (C3, C4, C5):
                taken.append(x)
        merged = [lateral(features) for lateral, features in zip(self.lat, taken, strict=True)]
        for finer in (1, 0):
            merged[finer] = merged[finer] + functional.interpolate(merged[finer + 1], scale_factor=2.0, mode="nearest")
        levels = [smooth(features) for smooth, features in zip(self.out, merged, strict=True)]
        levels.append(self.p6(levels[-1]))
        levels.append(self.p7(levels[-1]))
        return levels


class Deployed(nn.Module):
    """The network as the model file holds it: uint8 RGB pictures in, boxes in pixels and scores out."""

    def __init__(self, network: Network, size: int) -> None:
        """Take a trained network and the side of the crops in pixels."""
        super().__init__()
        self.network = network
        centres, strides, _ = anchor_grid(size, size)
        self.register_buffer("centres", torch.from_numpy(centres))
        self.register_buffer("strides", torch.from_numpy(strides)[:, None])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Take uint8 (n, size, size, 3); return boxes (n, anchors, 4) and scores (n, anchors, classes)."""
        logits, distances = self.network(normalise(images))
        return to_boxes(distances * self.strides, self.centres), torch.sigmoid(logits)


def normalise(images: Tensor) -> Tensor:
    """Turn uint8 pictures (n, height, width, 3) into float32 (n, 3, height, width) from -1 to 1."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_boxes(distances: Tensor, centres: Tensor) -> Tensor:
    """Return boxes (..., 4) from distances (..., 4) in pixels around centres (..., 2)."""
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)


def load_weights(network: Network, file: Path) -> None:
    """Load a flat state dict, or the averaged weights of a training state, into `network`.

    Raises:
        RuntimeError: a weight is missing, unknown or of another shape.
    """
    stored = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict(stored.get("average", stored))
