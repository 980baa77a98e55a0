"""Addresses of places in an object store, such as ``s3://bucket/street/2026``. Looks at text, reaches nothing."""

from __future__ import annotations

from dataclasses import dataclass

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket, and where in it.

    Attributes:
        bucket: its name.
        prefix: what the names of all objects there begin with; empty, or ends in ``/``.
    """

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def is_within(self, other: Address) -> bool:
        """Whether everything there is also at `other`."""
        return self.bucket == other.bucket and self.prefix.startswith(other.prefix)


def is_address(text: str) -> bool:
    """Whether `text` is meant as an address rather than a path."""
    head, found, _ = text.partition("://")
    return bool(found) and head.isalnum() and len(head) > 1  # a single letter is a drive of Windows


def parse_address(text: str) -> Address:
    """Return the address that `text` is.

    Raises:
        ValueError: it is of another store, or has no bucket.
    """
    if not text.startswith(_SCHEME):
        raise ValueError(f"of all stores only s3://BUCKET/FOLDER is known, not '{text}'")
    bucket, _, prefix = text.removeprefix(_SCHEME).partition("/")
    if not bucket or "//" in prefix:
        raise ValueError(f"s3://BUCKET/FOLDER is needed, not '{text}'")
    return Address(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")
