"""Lets torchvision's ordinary wheel work beside torch without CUDA: for comparing networks, never for the product.

torchvision's compiled part wants CUDA libraries and does not load without them. The network itself is plain torch; of
the compiled operators it needs non-maximum suppression alone, and ImageAI one that reads pictures.
Import this before torchvision.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def _suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices that greedy suppression keeps, best first."""
    corners, areas = boxes.double(), ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).double()
    left = scores.argsort(descending=True, stable=True)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = torch.maximum(corners[best, :2], corners[left, :2])
        high = torch.minimum(corners[best, 2:], corners[left, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        left = left[shared / (areas[best] + areas[left] - shared) <= iou_threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


def _read(path: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(Path(path).read_bytes()), dtype=torch.uint8)


def _decode(data: torch.Tensor, mode: int) -> torch.Tensor:
    import io  # noqa: PLC0415

    picture = Image.open(io.BytesIO(data.numpy().tobytes())).convert("RGB")
    return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())


_VISION = torch.library.Library("torchvision", "DEF")
_VISION.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_VISION.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_VISION.impl("nms", _suppress, "CPU")

_IMAGE = torch.library.Library("image", "DEF")
_IMAGE.define("read_file(str path) -> Tensor")
_IMAGE.define("decode_image(Tensor data, int mode) -> Tensor")
_IMAGE.impl("read_file", _read, "CompositeExplicitAutograd")
_IMAGE.impl("decode_image", _decode, "CPU")

from torchvision import extension  # noqa: E402  # only now does it find its operators

extension._has_ops = lambda: True
