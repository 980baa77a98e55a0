"""What is wrong with a prediction: quality focal loss for the scores, GIoU loss for the boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.assign import BACKGROUND
from training.network import to_boxes

BETA = 2.0
BOX_WEIGHT = 2.0
NEGATIVE_WEIGHT = (0.75, 0.75, 1.0, 1.5, 1.5)
"""By level, P3 to P7: one false box of a coarse level hides more of a picture than a hundred of the finest."""


def detection_loss(
    logits: Tensor,
    distances: Tensor,
    centres: Tensor,
    strides: Tensor,
    levels: Tensor,
    assigned: Tensor,
    boxes: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the loss of the scores and of the boxes, each divided by the sum of the target scores.

    The target of a score is the overlap of the predicted box with its object (generalised focal loss, Li et al.,
    NeurIPS 2020), so that a score says how good the box is.

    Args:
        logits: (n, anchors, classes).
        distances: (n, anchors, 4) in strides.
        centres: (anchors, 2) in pixels.
        strides, levels: (anchors,).
        assigned: int64 (n, anchors), row in `boxes` and `classes`, `BACKGROUND` or `LEFT_OUT`.
        boxes: (m, 4) objects of the whole batch in pixels.
        classes: int64 (m,).
    """
    positive = assigned >= 0
    objects = assigned[positive]
    predicted = to_boxes(distances * strides[:, None], centres)[positive]
    iou, giou = _overlaps(predicted, boxes[objects])
    quality = iou.detach().clamp(0, 1)

    targets = torch.zeros_like(logits)
    rows, anchors = positive.nonzero(as_tuple=True)
    targets[rows, anchors, classes[objects]] = quality
    by_level = torch.tensor(NEGATIVE_WEIGHT, device=logits.device)[levels][None, :, None]
    is_object = torch.zeros_like(logits, dtype=torch.bool)
    is_object[rows, anchors, classes[objects]] = True
    weights = torch.where(is_object, 1.0, by_level) * (assigned >= BACKGROUND)[..., None]
    error = (targets - torch.sigmoid(logits)).abs().pow(BETA)
    scores = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none") * error * weights

    total = quality.sum().clamp(min=1.0)
    return scores.sum() / total, BOX_WEIGHT * ((1 - giou) * quality).sum() / total


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return overlap over union, plain and generalised (Rezatofighi et al., CVPR 2019), of paired boxes (m, 4)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)
