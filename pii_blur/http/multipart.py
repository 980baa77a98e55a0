"""Answers of several parts, as multipart/form-data."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Response


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer; `file_name` is empty for plain fields."""

    name: str
    data: bytes
    media_type: str
    file_name: str = ""


def multipart_response(parts: Sequence[Part]) -> Response:
    """Return a response that holds all parts."""
    boundary = secrets.token_hex(16)  # cannot be in a photo by chance
    lines = []
    for part in parts:
        file_name = f'; filename="{part.file_name}"' if part.file_name else ""
        lines += [
            f"--{boundary}\r\n".encode(),
            f'Content-Disposition: form-data; name="{part.name}"{file_name}\r\n'.encode(),
            f"Content-Type: {part.media_type}\r\n\r\n".encode(),
            part.data,
            b"\r\n",
        ]
    body = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return Response(body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
