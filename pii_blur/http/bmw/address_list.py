"""The list of inference servers that clients set and remove: a small file in the operator's state folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from threading import Lock

from pii_blur.errors import UsageFailure
from pii_blur.http.bmw.addresses import AllowedAddresses
from pii_blur.photo.publish import publish

log = logging.getLogger(__name__)

FILE_NAME = "bmw-urls.json"


class AddressList:
    """Addresses in the order in which they were set; several threads may ask at once."""

    def __init__(self, folder: Path | None, allowed: AllowedAddresses) -> None:
        """Read the list.

        Args:
            folder: where it is kept; None to keep it in memory only.
            allowed: an address that is in the list but not among these any more is left out, with a warning.

        Raises:
            UsageFailure: the file is there but cannot be read.
        """
        self._file = folder / FILE_NAME if folder is not None else None
        self._changing = Lock()
        self._addresses: list[str] = []
        for address in self._read():
            if address in allowed:
                self._addresses.append(address)
            else:
                log.warning("the inference server %s was set once but is not allowed now: left out", address)

    def addresses(self) -> list[str]:
        """Return them."""
        return list(self._addresses)

    def add(self, address: str) -> bool:
        """Add one, in its normal form, and return whether it is new.

        Raises:
            PhotoFailure, CannotWrite: see `publish`; the list is then as it was.
        """
        with self._changing:
            if address in self._addresses:
                return False
            self._write([*self._addresses, address])
            return True

    def remove(self, address: str) -> bool:
        """Remove one and return whether it was there. Raises as `add` does."""
        with self._changing:
            if address not in self._addresses:
                return False
            self._write([one for one in self._addresses if one != address])
            return True

    def clear(self) -> None:
        """Remove all. Raises as `add` does."""
        with self._changing:
            self._write([])

    def _read(self) -> list[str]:
        if self._file is None or not self._file.exists():
            return []
        try:
            addresses = json.loads(self._file.read_bytes())["urls"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageFailure(
                f"the list of inference servers {self._file} cannot be read ({error}); mend it, or remove it and set "
                "them again"
            ) from error
        if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
            raise UsageFailure(f'{self._file} must be {{"urls": ["http://…"]}}; mend it, or remove it')
        return list(dict.fromkeys(addresses))

    def _write(self, addresses: list[str]) -> None:
        if self._file is not None:
            publish(json.dumps({"urls": addresses}, indent=1).encode(), self._file, code="state")
        self._addresses = addresses
