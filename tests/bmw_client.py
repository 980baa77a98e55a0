"""A client of BMW's Anonymization API, written from a description of that API alone: it knows nothing of pii_blur.

Routes, multipart fields, the shape of the configuration and of answers are as BMW's own test script and clients have
them: `image` and `configuration` are files, `url` is a form field.
"""

from __future__ import annotations

import json
from typing import Any

import requests


class BmwClient:
    """Talks to one service."""

    def __init__(self, address: str, token: str = "") -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, route: str) -> requests.Response:
        return requests.get(self._address + route, headers=self._headers, timeout=120)

    def post(self, route: str, **options: Any) -> requests.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        return requests.post(self._address + route, headers=headers, timeout=120, **options)

    def list_urls(self) -> list[str]:
        answer = self.get("/list_urls").json()
        assert answer["success"], answer
        return answer["data"]["urls"]

    def set_url(self, url: str) -> requests.Response:
        return self.post("/set_url", data={"url": url})

    def remove_url(self, url: str) -> requests.Response:
        return self.post("/remove_url", data={"url": url})

    def remove_all_urls(self) -> requests.Response:
        return self.post("/remove_all_urls")

    def available_methods(self) -> dict[str, dict[str, Any]]:
        return self.get("/available_methods/").json()

    def anonymize(self, image: bytes, *sensitive_info: dict[str, Any]) -> requests.Response:
        configuration = json.dumps({"sensitive_info": sensitive_info}).encode()
        return self.anonymize_with(image, configuration)

    def anonymize_with(self, image: bytes, configuration: bytes) -> requests.Response:
        files = {"image": ("a photo.jpg", image), "configuration": ("user_configuration.json", configuration)}
        return self.post("/anonymize/", files=files)


def info(
    model: str, label: str, technique: str, degree: float, inference_type: str = "detection", **more: Any
) -> dict[str, Any]:
    """Return one entry of a configuration."""
    return {
        "model_name": model,
        "class_name": label,
        "anonymization_technique": technique,
        "inference_type": inference_type,
        "anonymization_degree": degree,
        **more,
    }
