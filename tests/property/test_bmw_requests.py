"""Whatever stands in a request of BMW's contract, it is understood or refused with words that can be sent."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pii_blur.http.bmw.addresses import AllowedAddresses
from pii_blur.http.bmw.configuration import Configuration, read_configuration
from pii_blur.http.bmw.refusal import Mistakes, refused_body
from pii_blur.http.refusals import Refusal

ALLOWED = AllowedAddresses(["http://127.0.0.1:8001/"])
NAMES = ("model_name", "class_name", "anonymization_technique", "inference_type", "anonymization_degree", "url")
TEXTS = st.text(st.characters(), max_size=20)  # halves of characters, too
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.sampled_from(["detection", "blurring"])
)
ENTRIES = st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), VALUES, max_size=8)
DOCUMENTS = st.one_of(
    st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10),
    st.fixed_dictionaries({"sensitive_info": st.lists(ENTRIES, max_size=4)}),
)


@given(DOCUMENTS)
def test_any_json_is_read_or_its_mistakes_are_told(document: Any) -> None:
    """No other error, and nothing that cannot be written into an answer."""
    try:
        assert isinstance(read_configuration(json.dumps(document).encode()), Configuration)
    except Mistakes as mistakes:
        assert mistakes.details
        json.dumps(refused_body(mistakes), ensure_ascii=False).encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_words(data: bytes) -> None:
    """A configuration cannot come about by chance."""
    with suppress(Mistakes):
        raise AssertionError(read_configuration(data))


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                [
                    "http",
                    "://",
                    "127.0.0.1",
                    ":8001",
                    "/",
                    "@",
                    "..",
                    "[",
                    "]",
                    "::1",
                    "%",
                    "evil",
                    "?",
                    "#",
                    "\\",
                    "\t",
                ]
            ),
            max_size=10,
        ).map("".join),
    )
)
def test_any_address_is_the_allowed_one_or_refused(text: str) -> None:
    """What is let through begins with what was allowed, letter for letter."""
    with suppress(Refusal):
        assert ALLOWED.check(text).startswith("http://127.0.0.1:8001/")
