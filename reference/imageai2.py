"""The RetinaNet of ImageAI 2, which is keras-retinanet's: answers to compare with.

    python imageai2.py FOLDER            of ImageAI 2.1.6: networks of version 2.1 (resnet50_coco_best_v2.1.0.h5)
    python imageai2.py FOLDER PACKAGES   of ImageAI 2.1.5 in PACKAGES: version 2.0 (resnet50_coco_best_v2.0.1.h5)

Reads FOLDER/crops.npy, uint8 RGB (n, size, size, 3). Writes random weights, saved by Keras as the published files were,
and FOLDER/keras-2.1.npz or keras-2.0.npz with what the network makes of the crops. Then, for each line on stdin, it
runs the network on all crops and prints the seconds.
"""

from __future__ import annotations

import os
import sys
import time
import types
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # ImageAI 2 is written for Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras

WANTED = (0, 2, 3, 5, 7)  # person, car, motorcycle, bus, truck among COCO's 80
ANCHORS, CLASSES = 9, 80


def main(folder: Path, packages: Path | None) -> None:
    """Write all answers, then run on request."""
    pretend_to_be_keras_2()
    version = "2.0" if packages else "2.1"
    network = network_of_2_0(packages) if packages else network_of_2_1()
    crops = np.load(folder / "crops.npy")
    batch = crops[..., ::-1].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
    randomise(network, batch)
    file = folder / f"resnet50_coco_best_v{version}.9.h5"
    network.save(file, include_optimizer=False)
    network.save_weights(folder / f"weights_alone_v{version}.9.h5")
    np.savez(folder / f"keras-{version}.npz", **answers(network, batch, version))
    run = tf.function(network.call)
    run(batch[:1])
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for image in batch:
            run(image[None])
        print(time.perf_counter() - start, flush=True)


def pretend_to_be_keras_2() -> None:
    """Let `import keras` and its parts give Keras 2, which lives on as tf_keras."""
    sys.modules["keras"] = tf_keras
    for part in ("applications", "backend", "callbacks", "initializers", "layers", "models", "regularizers", "utils"):
        sys.modules[f"keras.{part}"] = getattr(tf_keras, part)
    tf_keras.initializers.normal = tf_keras.initializers.RandomNormal  # its name in 2018
    tf.image.resize_images = tf.compat.v1.image.resize_images  # as in TensorFlow 1


def network_of_2_1() -> Any:
    """Return ImageAI 2.1.6's network with boxes and suppression."""
    from imageai.Detection import retinanet_models  # noqa: PLC0415

    return retinanet_models.convert_model(retinanet_models.backbone("resnet50").retinanet(CLASSES))


def network_of_2_0(packages: Path) -> Any:
    """Return ImageAI 2.1.5's network with boxes and suppression."""
    for name in ("imageai", "imageai.Detection"):  # without what they import for YOLO, which needs an older Keras still
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(packages / name.replace(".", "/"))]
    from imageai.Detection.keras_resnet import layers  # noqa: PLC0415
    from imageai.Detection.keras_retinanet import initializers  # noqa: PLC0415
    from imageai.Detection.keras_retinanet.models.resnet import resnet50_retinanet  # noqa: PLC0415

    def call(self: Any, inputs: Any, training: Any = None) -> Any:  # Keras 2.3 and later pass `training` themselves
        return super(layers.BatchNormalization, self).call(inputs, training=not self.freeze)

    layers.BatchNormalization.call = call
    initializers.PriorProbability.__call__ = lambda _, shape, dtype=None: tf.zeros(shape, dtype)  # overwritten below
    return resnet50_retinanet(num_classes=CLASSES)


def randomise(network: Any, batch: np.ndarray) -> None:
    """Give random weights with scores of all sizes, some hundred of them above the threshold."""
    numbers = np.random.default_rng(5)
    for layer in [*network.layers, *head(network, "classification").layers, *head(network, "regression").layers]:
        arrays = layer.get_weights()
        if len(arrays) == 4 and arrays[0].ndim == 1:  # a batch norm: factor, shift, mean, variance
            low = 0.1 if layer.name.endswith("branch2c") else 0.7
            shape = arrays[0].shape
            factor, variance = numbers.uniform(low, 2 * low, shape), numbers.uniform(0.5, 1.5, shape)
            layer.set_weights([factor, numbers.normal(0, 0.1, shape), numbers.normal(0, 0.2, shape), variance])
        elif arrays and arrays[0].ndim == 4:
            inputs = np.prod(arrays[0].shape[:3])
            kernel = numbers.normal(0, np.sqrt(2 / inputs), arrays[0].shape)
            layer.set_weights([kernel * (0.02 if layer.name == "conv1" else 1), *arrays[1:]])
    named = head(network, "classification").get_layer("pyramid_classification")
    placed = head(network, "regression").get_layer("pyramid_regression")
    for layer in (named, placed):
        layer.set_weights([layer.get_weights()[0], 0 * layer.get_weights()[1]])
    logits, deltas = heads(network, batch)
    spread = logits.reshape(-1, ANCHORS * CLASSES).std(axis=0).mean()  # of one answer over the places
    named.set_weights([named.get_weights()[0] * (1.5 / spread), named.get_weights()[1]])
    placed.set_weights([placed.get_weights()[0] * (1.5 / deltas.std()), placed.get_weights()[1]])
    logits, _ = heads(network, batch)
    named.set_weights([named.get_weights()[0], random_bias(logits.reshape(-1, ANCHORS, CLASSES)).ravel()])


def random_bias(logits: np.ndarray) -> np.ndarray:
    """Return what shifts logits (anchors, shapes, classes) to where a few in a thousand pass 5 per cent.

    Of the wanted classes a part of the shapes stays: with many more, each level would be cut off at its 1,000 best.
    """
    numbers = np.random.default_rng(5)
    wanted = list(WANTED)
    high = np.quantile(logits[..., wanted], 0.9998, axis=0)
    bias = -20 - logits.max(axis=0)
    is_seen = numbers.uniform(size=high.shape) < 0.12
    bias[:, wanted] = np.where(is_seen, -2 - high, bias[:, wanted])
    return bias.astype(np.float32)


def head(network: Any, name: str) -> Any:
    """Return one of the two models in the model."""
    return network.get_layer(f"{name}_submodel")


def heads(network: Any, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return raw class answers, before the sigmoid, and box answers (n, anchors, ...)."""
    levels = tf_keras.Model(network.inputs, [network.get_layer(f"P{level}").output for level in range(3, 8)])
    classes, boxes = head(network, "classification"), head(network, "regression")
    raw = tf_keras.Model(classes.inputs, classes.get_layer("pyramid_classification").output)
    logits, deltas = [], []
    for image in batch:
        features = levels(image[None])
        logits.append(np.concatenate([raw(feature).numpy().reshape(-1, CLASSES) for feature in features]))
        deltas.append(np.concatenate([boxes(feature).numpy()[0] for feature in features]))
    return np.stack(logits), np.stack(deltas)


def answers(network: Any, batch: np.ndarray, version: str) -> dict[str, np.ndarray]:
    """Return what the network says: raw heads of the wanted classes, and for each crop the boxes that it reports."""
    logits, deltas = heads(network, batch)
    found: dict[str, np.ndarray] = {"logits": logits[..., list(WANTED)], "deltas": deltas}
    for number, image in enumerate(batch):
        outputs = network.predict_on_batch(image[None])
        boxes, scores, labels = _flat(outputs[2][0]) if version == "2.0" else [output[0] for output in outputs]
        is_real = scores > 0
        found |= {f"boxes{number}": boxes[is_real], f"scores{number}": scores[is_real]}
        found |= {f"labels{number}": labels[is_real]}
    return found


def _flat(detections: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes, scores and labels from version 2.0's table: a box, then a score for each class, 0 if suppressed."""
    rows, labels = np.nonzero(detections[:, 4:])
    return detections[rows, :4], detections[rows, 4 + labels], labels


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
