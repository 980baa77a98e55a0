"""Keeps the parts of photos that may have been blurred by mistake, unreadable to who holds only one half of the key.

Each entry is encrypted with AES-256-GCM. Its key is made of two halves: a secret file of this folder, and a random one
that is given away as part of the `blurring_id` and kept nowhere here. Entries go when their time is over.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import secrets
import struct
import time
from contextlib import ExitStack
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pii_blur.batch.lock import hold_lock
from pii_blur.errors import AlreadyRunning, CannotWrite
from pii_blur.photo.publish import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, publish

log = logging.getLogger(__name__)

_ID, _HALF, _NONCE = 16, 32, 12  # bytes
_SECRET = "secret"  # noqa: S105 - a file name
_SUFFIX = ".kept"
_EXPIRY = struct.Struct(">Q")


class Vault:
    """Encrypted entries in a folder, one file each."""

    def __init__(self, folder: Path, hours: float) -> None:
        """Open it, or make it; it belongs to this object until `close`.

        Args:
            folder: mode 0700; belongs to the service alone.
            hours: how long an entry is kept; rounded up to whole hours, so that its time tells of no photo.

        Raises:
            CannotWrite: the folder cannot be used.
            AlreadyRunning: another service uses it.
        """
        self._folder, self._seconds = folder, hours * 3600
        with ExitStack() as held:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
                held.enter_context(hold_lock(folder))
                self._secret = self._read_or_make_secret()
            except OSError as error:
                raise CannotWrite(f"--keep: '{folder}' cannot be used: {error.strerror}") from error
            except AlreadyRunning as error:
                remedy = "stop it first, or name another folder"
                raise AlreadyRunning(f"--keep: another service keeps its parts in '{folder}'; {remedy}") from error
            self._sweep_unfinished()
            self.sweep()
            self._held = held.pop_all()

    def close(self) -> None:
        """Leave the folder to the next service."""
        self._held.close()

    def put(self, data: bytes) -> str:
        """Keep an entry and return the `blurring_id` without which nobody can read it.

        Raises:
            PhotoFailure, CannotWrite: it cannot be written.
        """
        self.sweep()
        entry_id, half, nonce = (secrets.token_bytes(size) for size in (_ID, _HALF, _NONCE))
        expiry = _EXPIRY.pack((int(time.time() + self._seconds) // 3600 + 1) * 3600)
        sealed = AESGCM(self._key(entry_id, half)).encrypt(nonce, data, entry_id + expiry)
        file = self._file(entry_id)
        publish(expiry + nonce + sealed, file)
        file.chmod(0o600)
        hour = time.time() // 3600 * 3600
        os.utime(file, (hour, hour))
        return base64.urlsafe_b64encode(entry_id + half).decode().rstrip("=")

    def get(self, blurring_id: str) -> bytes | None:
        """Return an entry; None where there is none, it has expired, or `blurring_id` is wrong."""
        try:
            known = base64.urlsafe_b64decode(blurring_id + "=" * (-len(blurring_id) % 4))
            if len(known) != _ID + _HALF:
                return None
            entry_id, half = known[:_ID], known[_ID:]
            held = self._file(entry_id).read_bytes()
            expiry, nonce, sealed = held[:8], held[8 : 8 + _NONCE], held[8 + _NONCE :]
            if _EXPIRY.unpack(expiry)[0] <= time.time():
                return None
            return AESGCM(self._key(entry_id, half)).decrypt(nonce, sealed, entry_id + expiry)
        except (binascii.Error, ValueError, OSError, InvalidTag, struct.error):
            return None

    def sweep(self) -> None:
        """Remove the entries whose time is over."""
        for file in self._folder.glob(f"*{_SUFFIX}"):
            try:
                with file.open("rb") as held:
                    expiry = held.read(8)
                if len(expiry) < 8 or _EXPIRY.unpack(expiry)[0] <= time.time():
                    file.unlink()
            except OSError as error:
                log.warning("a kept part cannot be removed: %s", error.strerror)

    def _sweep_unfinished(self) -> None:
        """Remove what a service that was killed had begun to write: nobody was given a key to it."""
        for file in self._folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                log.warning("an unfinished part cannot be removed: %s", error.strerror)

    def _file(self, entry_id: bytes) -> Path:
        return self._folder / f"{entry_id.hex()}{_SUFFIX}"

    def _key(self, entry_id: bytes, half: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=self._secret, info=b"pii-blur kept part" + entry_id).derive(half)

    def _read_or_make_secret(self) -> bytes:
        file = self._folder / _SECRET
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as made:
                made.write(secrets.token_bytes(_HALF))
        secret = file.read_bytes()
        if len(secret) != _HALF:
            raise CannotWrite(
                f"--keep: '{file}' is no secret of ours; remove it, and nothing kept can be read any more"
            )
        return secret
