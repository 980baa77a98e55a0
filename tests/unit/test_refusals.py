"""Whatever goes wrong, the answer has the shape that the caller's contract has, and nothing of the request in it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from pii_blur.http.bmw.refusal import refused_body
from pii_blur.http.refusals import Wording, install_refusals, plain_body


@pytest.mark.parametrize(
    ("path", "fields"), [("/blur/", {"detail", "code"}), ("/anonymize/", {"success", "data", "error"})]
)
def test_a_bug_is_told_in_the_shape_of_the_contract(path: str, fields: set[str]) -> None:
    """And not as plain text, which a client cannot read, or with what the bug has said."""
    app = FastAPI()
    install_refusals(app, Wording({"blur": plain_body, "anonymize": refused_body}))

    @app.post(path)
    def route() -> None:
        raise ValueError("street.jpg at 48.85, 2.35")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post(path)

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert set(answer.json()) == fields
    assert "street" not in answer.text
