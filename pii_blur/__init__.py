"""Hides people and vehicles in 360-degree street photos and gives the metadata back.

The command line and everything else is built on these names; `pipeline.py` tells the story.
"""

from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.read import read_photo
from pii_blur.pipeline import Tools, blur_photo, hide_regions, open_tools
from pii_blur.regions import Region
from pii_blur.results import Outcome, PhotoResult, SideFiles
from pii_blur.search import find_regions
from pii_blur.settings import Settings
from pii_blur.version import __version__
from pii_blur.zones import Zone

__all__ = [
    "HiddenPhoto",
    "Label",
    "Outcome",
    "Photo",
    "PhotoResult",
    "Region",
    "Settings",
    "SideFiles",
    "Strength",
    "Tools",
    "Zone",
    "__version__",
    "blur_photo",
    "find_regions",
    "hide_regions",
    "open_tools",
    "read_photo",
]
