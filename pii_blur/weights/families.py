"""What differs between the packages that published ResNet-50 RetinaNets: one table, which the graph is built from.

Every value was read from the package's own source and is held by the tests marked `reference`, which run that source.
"""

from __future__ import annotations

from dataclasses import dataclass

from pii_blur.labels import Label

_COCO_91 = {Label.PERSON: 1, Label.CAR: 3, Label.TRUCK: 8, Label.BUS: 6, Label.MOTORCYCLE: 4}
_COCO_80 = {Label.PERSON: 0, Label.CAR: 2, Label.TRUCK: 7, Label.BUS: 5, Label.MOTORCYCLE: 3}


@dataclass(frozen=True, slots=True)
class Family:
    """How one package's network is put together, and what its answers mean.

    Attributes:
        name: part of the model's name.
        title: for people.
        licence: of the weights, as SPDX.
        homepage: where they come from.
        classes: which column of the class head stands for what.
        columns: how many it has.
        is_bgr: whether the network wants blue first.
        mean, deviation: what is subtracted from each channel, 0 to 255 in RGB order, and what it is then divided by.
        epsilon: of the batch norms.
        is_stride_first: a bottleneck's stride is in its first convolution, not in its second.
        is_same_padding: convolutions with a stride, and the pooling, are padded as TensorFlow does it: what cannot be
            split evenly goes to the right and below. The other way is the same on all sides.
        is_stem_padded_evenly: the first convolution is padded the same on all sides even so (keras-resnet 0.1).
        is_smooth_pyramid: coarse levels are enlarged by linear interpolation, not by repeating.
        is_p6_from_c5: the sixth level looks at the backbone, not at the fifth level.
        is_anchor_centred: anchors are about the middle of a cell, not its corner; corners also come with rounded sizes
            and with strides that are the picture's size over the level's, rounded down.
        box_scale: what the four numbers of a box are multiplied by.
        is_box_by_corners: those are shifts of the anchor's corners; else of its centre, and logarithms of its sizes.
        most_growth: a side grows by this factor at most; only for the logarithms.
        clip: how far from the picture's size its last coordinate is, for clipping; None: boxes are not clipped.
    """

    name: str
    title: str
    licence: str
    homepage: str
    classes: dict[Label, int]
    columns: int
    is_bgr: bool
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    epsilon: float
    is_stride_first: bool
    is_same_padding: bool
    is_stem_padded_evenly: bool
    is_smooth_pyramid: bool
    is_p6_from_c5: bool
    is_anchor_centred: bool
    box_scale: tuple[float, float, float, float]
    is_box_by_corners: bool
    clip: int | None
    most_growth: float = 1000 / 16  # torchvision's BoxCoder; nothing real grows as much in the others either
    nms_iou: float = 0.5


# torchvision sets the epsilon of its batch norms to 0 when it loads this very file, since that is how it was trained
# (`overwrite_eps` in torchvision.models.detection).
TORCHVISION = Family(
    name="resnet50-torchvision",
    title="torchvision's RetinaNet ResNet-50 FPN, which ImageAI 3 uses",
    licence="BSD-3-Clause",
    homepage="https://github.com/pytorch/vision",
    classes=_COCO_91,
    columns=91,
    is_bgr=False,
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    epsilon=0.0,
    is_stride_first=False,
    is_same_padding=False,
    is_stem_padded_evenly=True,
    is_smooth_pyramid=False,
    is_p6_from_c5=False,
    is_anchor_centred=False,
    box_scale=(1.0, 1.0, 1.0, 1.0),
    is_box_by_corners=False,
    clip=0,
)

# Boxes by their corners and repeated pixels in the pyramid since May 2018 (keras-retinanet pull requests 442 and 443).
KERAS_2_1 = Family(
    name="resnet50-keras-2.1",
    title="keras-retinanet's ResNet-50 of model version 2.1, which ImageAI 2.1.6 uses",
    licence="Apache-2.0",
    homepage="https://github.com/fizyr/keras-retinanet",
    classes=_COCO_80,
    columns=80,
    is_bgr=True,
    mean=(123.68, 116.779, 103.939),
    deviation=(1.0, 1.0, 1.0),
    epsilon=1e-5,
    is_stride_first=True,
    is_same_padding=True,
    is_stem_padded_evenly=False,
    is_smooth_pyramid=False,
    is_p6_from_c5=True,
    is_anchor_centred=True,
    box_scale=(0.2, 0.2, 0.2, 0.2),
    is_box_by_corners=True,
    clip=1,
)

KERAS_2_0 = Family(
    name="resnet50-keras-2.0",
    title="keras-retinanet's ResNet-50 of model version 2.0, which ImageAI 2.0 to 2.1.5 and the pii-blur of 2020 used",
    licence="Apache-2.0",
    homepage="https://github.com/fizyr/keras-retinanet",
    classes=_COCO_80,
    columns=80,
    is_bgr=True,
    mean=(123.68, 116.779, 103.939),
    deviation=(1.0, 1.0, 1.0),
    epsilon=1e-5,
    is_stride_first=True,
    is_same_padding=True,
    is_stem_padded_evenly=True,
    is_smooth_pyramid=True,
    is_p6_from_c5=True,
    is_anchor_centred=True,
    box_scale=(0.1, 0.1, 0.2, 0.2),
    is_box_by_corners=False,
    clip=None,
)
