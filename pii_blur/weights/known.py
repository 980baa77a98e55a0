"""Published weights that this program can convert: where they are, and how to tell that they arrived whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pii_blur.errors import MissingDependency, UsageFailure
from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, TORCHVISION, Family
from pii_blur.weights.source import sha256_of


@dataclass(frozen=True, slots=True)
class Published:
    """A file of weights on the web.

    Attributes:
        name: what the command line calls it.
        url: where it is.
        family: which network it holds.
        megabytes: its size as published, roughly.
        size: its size in bytes, where it is known.
        sha256: its SHA-256 in hex or the beginning of that; empty where nobody has stated one.
        is_sha256_official: the publisher states at least its beginning, not only others who use the file.
    """

    name: str
    url: str
    family: Family
    megabytes: int
    size: int | None = None
    sha256: str = ""
    is_sha256_official: bool = False

    @property
    def file_name(self) -> str:
        """The name under which it is published."""
        return self.url.rsplit("/", 1)[-1]

    def check(self, file: Path) -> None:
        """Make sure that `file` is this one, as far as that can be known.

        Raises:
            MissingDependency: it is not, or cannot be read.
        """
        try:
            size, digest = file.stat().st_size, sha256_of(file)
        except OSError as error:
            raise MissingDependency(f"{file} cannot be read: {error.strerror}") from error
        if self.size not in (None, size):
            raise MissingDependency(f"{file} is not the published file: it has {size} bytes, not {self.size}")
        if not digest.startswith(self.sha256):
            raise MissingDependency(
                f"{file} is damaged or not the published file: its SHA-256 begins with {digest[:12]}, not with "
                f"{self.sha256[:12]}"
            )


PUBLISHED = (
    # The publisher states the first 8 digits of the SHA-256, in the name; two projects on the web state the rest and
    # the size, and agree.
    Published(
        "torchvision",
        "https://download.pytorch.org/models/retinanet_resnet50_fpn_coco-eeacb38b.pth",
        TORCHVISION,
        megabytes=137,
        size=136_595_076,
        sha256="eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",
        is_sha256_official=True,
    ),
    # Two projects on the web that load this file state this checksum; its publisher states none.
    Published(
        "keras-2.1",
        "https://github.com/OlafenwaMoses/ImageAI/releases/download/essentials-v5/resnet50_coco_best_v2.1.0.h5",
        KERAS_2_1,
        megabytes=153,
        sha256="6518ad56a0cca4d1bd8cbba268dd4e299c7633efe7d15902d5acbb0ba180027c",
    ),
    Published(
        "keras-2.0",
        "https://github.com/OlafenwaMoses/ImageAI/releases/download/1.0/resnet50_coco_best_v2.0.1.h5",
        KERAS_2_0,
        megabytes=153,
    ),
)


def find_published(name: str) -> Published:
    """Return what is published under a name of ours, or under a file's own name.

    Raises:
        UsageFailure: nothing is.
    """
    for one in PUBLISHED:
        if name in (one.name, one.file_name):
            return one
    raise UsageFailure(f"'{name}' is not among what can be downloaded: {', '.join(one.name for one in PUBLISHED)}")
