"""One place in an S3 store: list, look, fetch, publish. The only file that knows botocore.

Botocore itself rather than a file system built upon it: what keeps a result of somebody else from being replaced is a
condition in the very request that publishes ours, and a listing must come page by page.

All errors are those of a file system: FileNotFoundError, FileExistsError (somebody was there first), PermissionError,
and ConnectionError for everything that a store may have instead of an answer.
"""

from __future__ import annotations

import hashlib
import mimetypes
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pii_blur.cloud.address import Address
from pii_blur.errors import MissingDependency

PAGE = 1000
"""Objects that one request lists; no store gives more."""

_CHUNK = 1 << 20  # bytes
_TRIES = 5  # of each request, with growing pauses; botocore's own
_TIMEOUT_S = 60
_REGION = "us-east-1"  # where none is configured; stores other than Amazon's do not mind

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_TAKEN = frozenset({"409", "412", "PreconditionFailed", "ConditionalRequestConflict"})
_REFUSED = frozenset({"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})


@dataclass(frozen=True, slots=True)
class Item:
    """What a store says of an object. Named like what a file system says, for those who only want that.

    Attributes:
        key: its name below the place.
        st_size: bytes.
        st_mtime_ns: nanoseconds since 1970: the second of its last change, and in the place of the fraction, which
            stores do not tell, a digest of `etag`. So it differs whenever the content does.
        etag: the store's name of this very content.
    """

    key: str
    st_size: int
    st_mtime_ns: int
    etag: str

    @property
    def st_ctime_ns(self) -> int:
        """The same as `st_mtime_ns`."""
        return self.st_mtime_ns

    @property
    def st_mode(self) -> int:
        """That of an ordinary file."""
        return stat.S_IFREG


def _item(key: str, size: int, seconds: float, etag: str) -> Item:
    fraction = int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big") % 1_000_000_000
    return Item(key, size, int(seconds) * 1_000_000_000 + fraction, etag)


class Store:
    """One place in a store. Pickles; each process connects by itself, at its first request.

    Where the store is and who asks, botocore finds out as for every other program: ``AWS_ENDPOINT_URL``,
    ``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, the files in ``~/.aws``, the role of the machine.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Any = None

    def __str__(self) -> str:
        return str(self.address)

    def __reduce__(self) -> tuple[type[Store], tuple[Address]]:
        return Store, (self.address,)

    def items(self) -> Iterator[Item]:
        """Yield what lies there, in the order of names, page by page; no more than one page is held."""
        token: dict[str, str] = {}
        while True:
            with _as_os_errors():
                page = self._connect().list_objects_v2(
                    Bucket=self.address.bucket, Prefix=self.address.prefix, MaxKeys=PAGE, **token
                )
            for one in page.get("Contents", ()):
                key = one["Key"].removeprefix(self.address.prefix)
                if key and not key.endswith("/"):  # what some programs put there for a folder
                    yield _item(key, one["Size"], one["LastModified"].timestamp(), one["ETag"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def look(self, key: str) -> Item:
        """Return what lies there under a name.

        Raises:
            OSError: nothing, or it cannot be told.
        """
        with _as_os_errors():
            found = self._connect().head_object(Bucket=self.address.bucket, Key=self.address.prefix + key)
        return _item(key, found["ContentLength"], found["LastModified"].timestamp(), found["ETag"])

    def fetch(self, item: Item, file: Path, most: int | None = None) -> None:
        """Write an object into a file.

        Args:
            item: of this very content.
            file: is made.
            most: bytes from the start, None for all.

        Raises:
            OSError: it cannot be fetched; FileExistsError where it is another content by now.
        """
        part = {} if most is None or most >= item.st_size else {"Range": f"bytes=0-{most - 1}"}
        with _as_os_errors():
            answer = self._connect().get_object(
                Bucket=self.address.bucket, Key=self.address.prefix + item.key, IfMatch=item.etag, **part
            )
            with closing(answer["Body"]) as body, file.open("wb") as target:
                while chunk := body.read(_CHUNK):
                    target.write(chunk)
        if not part and file.stat().st_size != item.st_size:
            raise ConnectionError("the download broke off")

    def publish(self, key: str, data: bytes, replaces: Item | None) -> Item:
        """Put an object there, whole or not at all.

        Args:
            key: its name.
            data: the whole object.
            replaces: what it may take the place of; None if there must be nothing.

        Raises:
            OSError: it is not there; FileExistsError where something else than `replaces` is.
        """
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces.etag}
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        with _as_os_errors():
            answer = self._connect().put_object(
                Bucket=self.address.bucket, Key=self.address.prefix + key, Body=data, ContentType=kind, **condition
            )
        return Item(key, len(data), 0, answer["ETag"])

    def remove(self, key: str) -> None:
        """Remove an object; none there is no error.

        Raises:
            OSError: it cannot be removed.
        """
        with _as_os_errors():
            self._connect().delete_object(Bucket=self.address.bucket, Key=self.address.prefix + key)

    def check(self) -> None:
        """Make sure that the place can be listed.

        Raises:
            OSError: it cannot.
        """
        with _as_os_errors():
            self._connect().list_objects_v2(Bucket=self.address.bucket, Prefix=self.address.prefix, MaxKeys=1)

    def _connect(self) -> Any:
        if self._client is None:
            botocore = load_botocore()
            session = botocore.session.get_session()
            config = botocore.config.Config(
                retries={"mode": "standard", "max_attempts": _TRIES},
                connect_timeout=_TIMEOUT_S,
                read_timeout=_TIMEOUT_S,
                region_name=session.get_config_variable("region") or _REGION,
            )
            self._client = session.create_client("s3", config=config)
        return self._client


@contextmanager
def _as_os_errors() -> Iterator[None]:
    exceptions = load_botocore().exceptions
    try:
        yield
    except exceptions.ClientError as error:
        answer = error.response.get("Error", {})
        code, reason = str(answer.get("Code", "")), str(answer.get("Message", "") or error)
        if code in _MISSING:
            raise FileNotFoundError(0, reason) from error
        if code in _TAKEN:
            raise FileExistsError(0, reason) from error
        if code in _REFUSED:
            raise PermissionError(0, reason) from error
        raise ConnectionError(0, f"{reason} ({code})") from error
    except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
        raise ConnectionError(0, str(error)) from error


def load_botocore() -> Any:
    """Return the package, with its parts.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import botocore.config  # noqa: PLC0415
        import botocore.exceptions  # noqa: PLC0415
        import botocore.session  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(f"s3:// needs the package botocore ({error}): pip install 'pii-blur[cloud]'") from error
    return botocore
