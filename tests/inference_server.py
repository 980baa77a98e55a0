"""A small inference server of BMW's API on loop-back, which finds the people of `tests.scenes` by their colour.

Written from the API alone, without a line of pii_blur.http. It has a model that finds boxes, `boxes`, and one that
makes masks, `masks`. Told so, it misbehaves in all the ways that servers do.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Response, UploadFile
from PIL import Image

from pii_blur.detect.detections import Detections
from pii_blur.labels import Label
from tests.scenes import ColourDetector

CLASSES = ["background", "face", "plate"]
PALETTE = [0, 0, 0, 200, 30, 30, 30, 30, 200]
TYPES = {"boxes": "detection", "masks": "Semantic_segmentation"}


@dataclass
class InferenceServer:
    """What tests see of it.

    Attributes:
        address: ``http://127.0.0.1:PORT/``.
        fault: how it misbehaves: empty for not at all, ``redirect``, ``error``, ``false``, ``text``, ``huge``,
            ``packed``, or another answer or `data` in place of the right one.
        asked: the paths it was asked for, in order.
        pictures: those it was sent.
        in_colours: whether masks are in the palette's colours instead of numbers.
        last_mask: the one that every caller gets.
        masks_at_once: at each mask, how many were being made.
        fault_of_views: whether it fails at pictures, and at nothing else.
    """

    address: str = ""
    fault: Any = ""
    asked: list[str] = field(default_factory=list)
    pictures: list[np.ndarray[Any, Any]] = field(default_factory=list)
    in_colours: bool = False
    fault_of_views: bool = False
    last_mask: bytes = b""
    masks_at_once: list[int] = field(default_factory=list)
    masks_at_once_now: list[int] = field(default_factory=list)


@contextmanager
def inference_server() -> Iterator[InferenceServer]:
    """Run one in a thread."""
    state = InferenceServer()
    server = uvicorn.Server(uvicorn.Config(_make_app(state), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        state.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        yield state
    finally:
        server.should_exit = True
        thread.join()


def _make_app(state: InferenceServer) -> FastAPI:
    app = FastAPI()

    def answer(path: str, data: Any) -> Any:
        state.asked.append(path)
        if state.fault_of_views and path.endswith(("predict", "inference")):
            return Response(status_code=500)
        if state.fault == "":
            return data if isinstance(data, Response) else {"success": True, "data": data, "error": ""}
        match state.fault:
            case "redirect":
                return Response(status_code=307, headers={"location": state.address + "elsewhere"})
            case "error":
                return Response(status_code=500)
            case "false":
                return {"success": False, "data": None, "error": "unexpected server error"}
            case "text":
                return Response(b"hello")
            case "huge":
                return Response(b" " * (20 << 20))
            case "packed":
                return Response(b"{}", headers={"content-encoding": "gzip"})
            case other:
                return other if isinstance(other, Response) else {"success": True, "data": other, "error": ""}

    @app.get("/elsewhere")
    def elsewhere() -> Any:
        state.asked.append("elsewhere")
        return {"success": True, "data": {"models": ["boxes"]}, "error": ""}

    @app.get("/models")
    def models() -> Any:
        return answer("models", {"models": list(TYPES)})

    @app.get("/models/{model}/labels")
    def labels(model: str) -> Any:
        return answer(f"models/{model}/labels", CLASSES)

    @app.get("/models/{model}/config")
    def config(model: str) -> Any:
        return answer(f"models/{model}/config", {"type": TYPES[model], "framework": "colours"})

    @app.get("/models/{model}/palette")
    def palette(model: str) -> Any:
        return answer(f"models/{model}/palette", PALETTE)

    @app.post("/models/{model}/predict")
    def predict(model: str, input_data: UploadFile) -> Any:
        found = ColourDetector().detect(_picture(state, input_data), {Label.PERSON: 0.5})
        return answer(f"models/{model}/predict", {"bounding-boxes": _boxes(found)})

    @app.post("/models/{model}/inference")
    def inference(model: str, input_data: UploadFile) -> Any:
        values = _picture(state, input_data).astype(int)
        is_face = (values[..., 0] - values[..., 1] > 60) & (values[..., 2] - values[..., 1] > 60)
        mask = Image.fromarray(is_face.astype(np.uint8) * CLASSES.index("face"))
        mask.putpalette(PALETTE)
        data = io.BytesIO()
        (mask.convert("RGB") if state.in_colours else mask).save(data, "PNG")
        # As BMW's own servers, which write their last mask to one file, read it again, and call it a JPEG.
        state.last_mask = data.getvalue()
        state.masks_at_once.append(len(state.masks_at_once_now) + 1)
        state.masks_at_once_now.append(1)
        time.sleep(0.02)
        state.masks_at_once_now.pop()
        return answer(f"models/{model}/inference", Response(state.last_mask, media_type="image/jpg"))

    return app


def _picture(state: InferenceServer, upload: UploadFile) -> np.ndarray[Any, Any]:
    with Image.open(upload.file) as image:
        picture = np.array(image.convert("RGB"))
    state.pictures.append(picture)
    return picture


def _boxes(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "ObjectClassName": "face",
            "ObjectClassId": CLASSES.index("face"),
            "confidence": 99.0,
            "coordinates": dict(zip(("left", "top", "right", "bottom"), map(int, box), strict=True)),
        }
        for box in found.boxes_xyxy
    ]
