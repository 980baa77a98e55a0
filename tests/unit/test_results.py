"""What became of a photo, and what is written beside it, as plain data."""

from __future__ import annotations

import pytest

from pii_blur.results import DETECTIONS_FORMATS, SideFiles


def test_unknown_format_of_detections_is_refused_where_it_is_named() -> None:
    """Not only by the command line: else the files would silently be of another format."""
    for name in DETECTIONS_FORMATS:
        assert SideFiles(detections_format=name).detections_format == name
    with pytest.raises(ValueError, match="pii-blur, understand-ai"):
        SideFiles(detections_format="coco")
