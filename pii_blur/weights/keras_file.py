"""HDF5 files of Keras 2, whole models or weights alone: arrays by layer, and what the file says of its layers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency, UsageFailure

Arrays = tuple[tuple[str, NDArray[np.float32]], ...]


@dataclass(frozen=True, slots=True)
class KerasFile:
    """What is of use in such a file.

    Attributes:
        layers: for each layer in order its arrays in order, each with its kind: ``kernel``, ``bias``, ``gamma``, ...;
            also the layers that have none. A model inside the model is one layer.
        settings: for each layer its class and settings; empty where the file holds weights alone.
    """

    layers: dict[str, Arrays]
    settings: dict[str, tuple[str, dict[str, Any]]]


def read_keras_file(file: Path) -> KerasFile:
    """Read the arrays and the settings of all layers.

    Raises:
        MissingDependency: h5py is missing.
        UsageFailure: the file cannot be read, is damaged or no file of Keras 2.
    """
    h5py = import_h5py()
    try:
        with h5py.File(file, "r") as root:
            group = root.get("model_weights", root)
            most = file.stat().st_size
            layers = {name: _arrays(h5py, group[name], most) for name in _names(group, "layer_names")}
            if any(group[name].file.filename != root.filename for name in layers):
                raise ValueError("parts of it are in other files")
            return KerasFile(layers, _settings(root.attrs.get("model_config")))
    except OSError as error:
        raise UsageFailure(f"{file} cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UsageFailure(f"{file} is no file of Keras 2 that can be read: {error}") from error


def import_h5py() -> Any:
    """Return the library.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import h5py  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency("converting weights needs h5py; pip install 'pii-blur[convert]'") from error
    return h5py


def _arrays(h5py: Any, group: Any, most: int) -> Arrays:
    arrays = []
    for name in _names(group, "weight_names"):
        data = group[name]
        if not isinstance(data, h5py.Dataset) or data.dtype != np.dtype("<f4"):
            raise ValueError(f"{name} is no array of 32-bit numbers")
        # What Keras writes lies in the file itself, as it is. Other files, and packed data that grow, are refused.
        if data.is_virtual or data.external or data.compression or data.file.filename != group.file.filename:
            raise ValueError(f"{name} does not lie in the file itself")
        if data.nbytes > most:
            raise ValueError(f"{name} claims to be larger than the file")
        arrays.append((name.rsplit("/", 1)[-1].split(":")[0], data[()]))
    return tuple(arrays)


def _names(group: Any, attribute: str) -> list[str]:
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]]


def _settings(config: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return class and settings by layer from the JSON that a whole model carries."""
    if config is None:
        return {}
    layers = json.loads(config)["config"]["layers"]
    return {layer["config"]["name"]: (layer["class_name"], layer["config"]) for layer in layers}
