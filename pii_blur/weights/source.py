"""One file of published weights, whatever its format: what it is and its layers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pii_blur.errors import UsageFailure
from pii_blur.weights.families import TORCHVISION, Family
from pii_blur.weights.keras_file import read_keras_file
from pii_blur.weights.keras_layers import family_of_keras, layers_of_keras
from pii_blur.weights.layers import Convolution
from pii_blur.weights.torch_file import read_torch_file
from pii_blur.weights.torch_layers import layers_of_torch

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read and understood.

    Attributes:
        file, sha256: of the file.
        family: which package's network it is.
        layers: its weights under our names.
    """

    file: Path
    sha256: str
    family: Family
    layers: dict[str, Convolution]


def read_source(file: Path) -> Source:
    """Read a file of weights. Its content decides what it is, not its ending.

    Raises:
        MissingDependency: h5py is missing.
        UsageFailure: the file cannot be read, is damaged, or holds another network.
    """
    try:
        with file.open("rb") as stream:
            is_hdf5 = stream.read(len(_HDF5)) == _HDF5
        digest = sha256_of(file)
    except OSError as error:
        raise UsageFailure(f"{file} cannot be read: {error.strerror}") from error
    try:
        if is_hdf5:
            keras = read_keras_file(file)
            family = family_of_keras(keras, file.name)
            return Source(file, digest, family, layers_of_keras(keras, family))
        return Source(file, digest, TORCHVISION, layers_of_torch(read_torch_file(file), TORCHVISION))
    except ValueError as error:
        raise UsageFailure(f"{file} cannot be used: {error}") from error


def sha256_of(file: Path) -> str:
    """Return a file's SHA-256 in hex, without holding the file in memory.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
