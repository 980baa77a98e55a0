"""Pictures that go to inference servers, and masks that come back. The only file here that knows OpenCV and Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

Pixels = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_MOST_SIDE = 4096


def to_png(pixels: Pixels) -> bytes:
    """Return uint8 RGB (h, w, 3) as a PNG, packed quickly rather than well: it goes a short way."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def read_masks(
    png: bytes, size: int, numbers: Mapping[str, int], palette: Sequence[tuple[int, int, int]]
) -> dict[str, Flags]:
    """Return where each wanted class lies.

    Args:
        png: what an inference server answered.
        size: side of the view it was shown.
        numbers: the classes that are wanted, with their places in the model's list.
        palette: the model's colours, for a mask in colours and not in numbers.

    Returns:
        (size, size) for each class.

    Raises:
        ValueError: it is no PNG, or not of that picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged one fails by itself
            with PngImagePlugin.PngImageFile(io.BytesIO(png)) as picture:
                if max(picture.size) > _MOST_SIDE or picture.width != picture.height:
                    raise ValueError(f"{picture.width}x{picture.height} pixels for a view of {size}x{size}")
                is_numbers = picture.mode in ("P", "L")
                values = np.array(picture if is_numbers else picture.convert("RGB"))
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"no PNG ({error})") from error
    if not is_numbers and any(number >= len(palette) for number in numbers.values()):
        raise ValueError("colours, and the palette has none for a class that is wanted")
    masks = {}
    for name, number in numbers.items():
        mask = values == number if is_numbers else (values == np.array(palette[number])).all(axis=-1)
        if len(mask) != size:
            # A cell of a coarser mask counts whole.
            mask = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR) > 0
        masks[name] = np.asarray(mask, dtype=np.bool_)
    return masks


class Part(NamedTuple):
    """A connected part of a mask: its box x0 y0 x1 y1 (edges) in the mask's pixels, and which in that belong to it."""

    box: tuple[int, int, int, int]
    inside: Flags


def parts(mask: Flags, margin: int) -> Iterator[Part]:
    """Give the connected parts of a (h, w) mask, each widened by `margin` pixels as far as the picture goes."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    wide = cv2.dilate(mask.astype(np.uint8), kernel)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    for number, (left, top, width, height, _) in enumerate(boxes[1:], start=1):
        right, bottom = left + width, top + height
        yield Part((int(left), int(top), int(right), int(bottom)), labels[top:bottom, left:right] == number)
