"""Files of torch.save, both the zip archives of torch 1.6 and later and the plain ones before: weights by name.

Needs no torch and executes nothing (`torch_pickle`). Sizes are checked before anything is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import UsageFailure
from pii_blur.weights.torch_pickle import StorageEntry, TensorEntry, read_pickle

Array = NDArray[Any]

_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_MOST_BYTES = 1 << 30  # the published file has 137 MB
_MAGIC = 0x1950A86A20F9469CFC6C  # `torch.serialization.MAGIC_NUMBER`, what the plain files begin with
_PROTOCOL = 1001  # `torch.serialization.PROTOCOL_VERSION`


def read_torch_file(file: Path) -> dict[str, Array]:
    """Return the tensors of a state dict, read-only, by name.

    Raises:
        UsageFailure: the file cannot be read, is damaged, or is more than a dictionary of tensors.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is far larger than a RetinaNet with a ResNet-50")
        # In memory, where a length that lies cannot make a read take more than there is.
        stream = io.BytesIO(file.read_bytes())
        return _read_archive(stream) if zipfile.is_zipfile(stream) else _read_plain(stream)
    except OSError as error:
        raise UsageFailure(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UsageFailure(f"{file} is no file of weights by torch that can be read safely: {error}") from error


def _read_archive(stream: io.BytesIO) -> dict[str, Array]:
    with zipfile.ZipFile(stream) as archive:
        lists = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(lists) != 1:
            raise ValueError("it is a zip archive, but not one of torch.save")
        root = lists[0].removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and _member(archive, root + "byteorder") != b"little":
            raise ValueError("its numbers are stored the big-endian way")
        contents = read_pickle(io.BytesIO(_member(archive, lists[0])))

        def read(storage: StorageEntry, size: int) -> bytes:
            name = f"{root}data/{storage.key}"
            if archive.getinfo(name).file_size != size:
                raise ValueError(f"its storage {storage.key} has another size than its list of contents says")
            return _member(archive, name)

        return _tensors(contents, read, stream.getbuffer().nbytes)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part as it lies there: torch packs nothing, and a small file must not unpack to a large one."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its part {name} is packed")
    return archive.read(entry)


def _read_plain(stream: io.BytesIO) -> dict[str, Array]:
    stream.seek(0)
    if read_pickle(stream) != _MAGIC or read_pickle(stream) != _PROTOCOL:
        raise ValueError("it does not begin like one")
    system = read_pickle(stream)
    if not (isinstance(system, dict) and system.get("little_endian") is True):
        raise ValueError("its numbers are stored the big-endian way")
    contents, keys = read_pickle(stream), read_pickle(stream)
    if not isinstance(keys, list):
        raise ValueError("its list of storages is missing")
    start = stream.tell()
    storages = {entry.storage.key: entry.storage for entry in _entries(contents).values()}
    places: dict[str, int] = {}
    for key in keys:  # each storage: how many numbers as int64, then the numbers
        if key not in storages:
            raise ValueError(f"its storage {key} belongs to no tensor")
        stream.seek(start)
        if int.from_bytes(stream.read(8), "little") != storages[key].count:
            raise ValueError(f"its storage {key} has another size than its list of contents says")
        places[key] = start + 8
        start += 8 + storages[key].count * _type(storages[key]).itemsize

    def read(storage: StorageEntry, size: int) -> bytes:
        stream.seek(places[storage.key])
        return stream.read(size)

    return _tensors(contents, read, stream.getbuffer().nbytes)


def _tensors(contents: object, read: Callable[[StorageEntry, int], bytes], whole: int) -> dict[str, Array]:
    """Return the tensors; each storage is read once, and together they are no larger than the file."""
    storages: dict[str, Array] = {}
    left = whole
    tensors = {}
    for name, entry in _entries(contents).items():
        storage = entry.storage
        if storage.key not in storages:
            kind = _type(storage)
            size = storage.count * kind.itemsize
            left -= size
            if left < 0:
                raise ValueError("it claims to hold more than its own size")
            data = read(storage, size)
            if len(data) != size:
                raise ValueError("it ends too early")
            storages[storage.key] = np.frombuffer(data, kind)
        tensors[name] = _window(storages[storage.key], entry, name)
    return tensors


def _window(numbers: Array, entry: TensorEntry, name: str) -> Array:
    count, step = 1, 1
    for length, stride in zip(reversed(entry.shape), reversed(entry.strides), strict=True):
        if length != 1 and stride != step:
            raise ValueError(f"{name} does not lie in one piece")
        step *= length
    count = step
    if entry.offset + count > len(numbers):
        raise ValueError(f"{name} is larger than its storage")
    return numbers[entry.offset : entry.offset + count].reshape(entry.shape)


def _entries(contents: object) -> dict[str, TensorEntry]:
    if not isinstance(contents, dict) or not contents:
        raise ValueError("it holds something else than a dictionary of tensors")
    for name, entry in contents.items():
        if not (isinstance(name, str) and isinstance(entry, TensorEntry)):
            raise ValueError(f"its entry {name!r} is no tensor; save the network's state_dict() alone")
    return contents


def _type(storage: StorageEntry) -> np.dtype[Any]:
    if storage.type.module != "torch" or storage.type.name not in _TYPES:
        raise ValueError(f"it holds numbers of the type {storage.type}, which is not read here")
    return np.dtype(_TYPES[storage.type.name])
