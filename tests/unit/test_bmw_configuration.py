"""The configuration of a BMW request: the whole of it is checked, every mistake is told, nothing is guessed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pii_blur.http.bmw.configuration import MAX_BYTES, MAX_ENTRIES, read_configuration
from pii_blur.http.bmw.refusal import Mistakes, refused_body

ENTRY = {
    "model_name": "yolo",
    "class_name": "person",
    "anonymization_technique": "blackening",
    "inference_type": "detection",
    "anonymization_degree": 1,
}


def mistakes(document: Any) -> list[str]:
    """Return what is wrong with a configuration."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(Mistakes) as caught:
        read_configuration(data)
    assert refused_body(caught.value)["success"] is False
    return caught.value.details


def test_bmws_own_example_is_read() -> None:
    """The file that comes with BMW's test script."""
    read = read_configuration(json.dumps({"sensitive_info": [ENTRY]}).encode())
    assert read.sensitive_info[0].model_dump() == {**ENTRY, "url": None}


def test_capitals_of_technique_and_type_do_not_count() -> None:
    """BMW folds them, too."""
    entry = {**ENTRY, "anonymization_technique": "Blurring", "inference_type": "Detection"}
    read = read_configuration(json.dumps({"sensitive_info": [entry]}).encode()).sensitive_info[0]
    assert (read.anonymization_technique, read.inference_type) == ("blurring", "detection")


def test_every_entry_is_checked_and_every_mistake_told() -> None:
    """BMW's schema looked at the first entry only, so that a mistake in another showed as an unhidden face."""
    bad = {**ENTRY, "anonymization_degree": 1.5}
    worse = {"model_name": "", "class_name": "person", "inference_type": "guess", "anonymization_degree": True}
    told = mistakes({"sensitive_info": [ENTRY, bad, worse]})
    assert [line.split(":")[0] for line in told] == ["sensitive info 2"] + ["sensitive info 3"] * 4
    text = "\n".join(told)
    for field in ("anonymization_degree", "model_name", "anonymization_technique", "inference_type"):
        assert field in text


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"sensitive_info": []},
        {"sensitive_info": {}},
        {"sensitive_info": [ENTRY] * (MAX_ENTRIES + 1)},
        {"sensitive_info": [ENTRY], "sensitive_inf": [ENTRY]},
        {"sensitive_info": [{**ENTRY, "degree": 1}]},
        {"sensitive_info": [{**ENTRY, "anonymization_degree": "1"}]},
        {"sensitive_info": [{**ENTRY, "anonymization_degree": -0.01}]},
        {"sensitive_info": [{**ENTRY, "model_name": "a\nb"}]},
        {"sensitive_info": [{**ENTRY, "url": 5}]},
        {"sensitive_info": [{**ENTRY, "class_name": "\ud800"}]},
        {"sensitive_info": [{**ENTRY, "\ud800": 5}]},
        b'{"\\ud800": 1, "\\ud800": 2}',
        b"",
        b"\xff\xfe",
        b"{",
        b'{"sensitive_info": ' + b"[" * 5000,
        json.dumps({"sensitive_info": [ENTRY]}).replace("1}", "NaN}").encode(),
        json.dumps({"sensitive_info": [ENTRY]}).replace("1}", "1e999}").encode(),
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_not_as_it_must_be_is_refused(wrong: Any) -> None:
    """Also what other readers would let pass: unknown names, words for numbers, infinite ones."""
    told = mistakes(wrong)
    assert told
    assert "\n".join(told).encode()


def test_a_list_that_stands_twice_is_refused() -> None:
    """One of the two would be left out without a word, and with it what was to be hidden."""
    one = json.dumps([ENTRY])
    assert "twice" in mistakes(f'{{"sensitive_info": {one}, "sensitive_info": {one}}}'.encode())[0]


def test_the_configuration_of_the_documentation_is_read() -> None:
    """As it stands in docs/service-bmw.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "service-bmw.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len(read_configuration(example.encode()).sensitive_info) == 2
