"""The service by what its callers see: Panoramax's contract and our own API, against a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from pii_blur.labels import Label
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.photo.metadata import claim_in
from pii_blur.pipeline import Tools, blur_photo
from pii_blur.settings import Settings
from tests.photos import with_tags
from tests.scenes import ColourDetector, background
from tests.service import Caller, decoded, jpeg, panorama, parts, purple, running

GPS = ("-GPSLatitude=48.85", "-GPSLatitudeRef=N", "-Make=Ricoh", "-UserComment=hello")


@pytest.fixture(scope="module")
def service() -> Iterator[Caller]:
    """As an operator starts it who changes nothing."""
    with running() as caller:
        yield caller


@pytest.fixture(scope="module")
def open_service() -> Iterator[Caller]:
    """As an operator starts it who allows what is not allowed by itself."""
    with running(allow_unblurred=True, annotate=(Label.PERSON,)) as caller:
        yield caller


@pytest.fixture(scope="module")
def photo() -> bytes:
    data = panorama()
    assert purple(decoded(data)).sum() > 500
    return data


def test_panoramax_gets_a_blurred_jpeg_and_what_was_found(service: Caller, photo: bytes) -> None:
    """The older form of the contract: the body is the photo, the header says what was hidden."""
    answer = service.blur(photo, headers={"Accept": "image/jpeg"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert not purple(decoded(answer.content)).any()
    about = json.loads(answer.headers["x-sgblur"])
    assert about["model"]["name"]
    assert len(about["info"]) >= 3
    found = about["info"][0]
    left, top, right, bottom = found["bbox"]
    assert found["xywh"] == [left, top, right - left, bottom - top]
    assert (found["class"], 0 < found["confidence"] <= 1) == ("person", True)
    assert purple(decoded(photo)[top:bottom, left:right]).mean() > 0.3


def test_panoramax_gets_parts_that_tell_nobody_where_people_stood(service: Caller, photo: bytes) -> None:
    """The newer form: `metadata` and `image`. Panoramax publishes annotations, so there are none by default."""
    answer = service.blur(photo, headers={"Accept": "multipart/form-data"})
    found = parts(answer)
    assert set(found) == {"metadata", "image"}
    assert json.loads(found["metadata"]) == {"annotations": [], "service_name": "pii-blur"}
    assert not purple(decoded(found["image"])).any()


def test_annotations_are_what_panoramax_can_read(open_service: Caller, photo: bytes) -> None:
    """Whole pixels inside the picture, and every semantic value is text."""
    answer = open_service.blur(photo, headers={"Accept": "multipart/form-data"})
    annotations = json.loads(parts(answer)["metadata"])["annotations"]
    assert len(annotations) >= 3
    for annotation in annotations:
        left, top, right, bottom = annotation["shape"]
        assert 0 <= left < right <= 512
        assert 0 <= top < bottom <= 256
        values = {one["key"]: one["value"] for one in annotation["semantics"]}
        assert all(isinstance(value, str) for value in values.values())
        assert values["hidden"] == "person"
        assert values["detection_model[hidden=person]"].startswith("pii-blur-")


def test_the_service_gives_what_the_command_line_gives(service: Caller, photo: bytes, tmp_path: Path) -> None:
    """Byte for byte, metadata and mark included; other formats too."""
    tagged = with_tags(photo, tmp_path, *GPS)
    png = cv2.imencode(".png", cv2.cvtColor(decoded(photo), cv2.COLOR_RGB2BGR))[1].tobytes()
    for data in (tagged, png):
        (tmp_path / "source").write_bytes(data)
        with open_exiftool() as exiftool:
            result = blur_photo(tmp_path / "source", tmp_path / "out", Settings(), Tools(ColourDetector(), exiftool))
        assert result.error is None
        answer = service.photo(data)
        assert answer.content == (tmp_path / "out").read_bytes()
        assert int(answer.headers["x-pii-blur-people"]) == result.people
    assert answer.headers["content-type"] == "image/png"
    assert service.blur(tagged).content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("size", [(256, 512), (250, 501)])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_panoramax_gets_photos_upright(
    service: Caller, tmp_path: Path, size: tuple[int, int], orientation: int
) -> None:
    """GeoVisio makes small copies without looking at the orientation; all blocks whole or not."""
    pixels = background(size[1], size[0])
    pixels[:40, :40] = (200, 200, 40)
    stored = np.ascontiguousarray(np.rot90(pixels, {3: 2, 6: 1, 8: 3}[orientation]))
    data = with_tags(jpeg(stored), tmp_path, f"-Orientation#={orientation}", *GPS)
    answer = service.blur(data)
    assert answer.status_code == 200, answer.text
    got = decoded(answer.content)
    assert got.shape == pixels.shape
    assert np.abs(got[5:35, 5:35].astype(int) - (200, 200, 40)).max() < 12
    with open_exiftool() as exiftool:
        tags = exiftool.read_tags(answer.content, ".jpg")
    assert tags["IFD0:Orientation"] == 1
    assert (tags["IFD0:Make"], tags["GPS:GPSLatitude"]) == ("Ricoh", 48.85)


def test_keep_2_is_no_way_round_the_blur(service: Caller, open_service: Caller, photo: bytes) -> None:
    """sgblur gives the photo back as it is; here only if the operator wants that."""
    answer = service.blur(photo, params={"keep": "2"})
    assert (answer.status_code, answer.json()["code"]) == (403, "must_blur")
    assert open_service.blur(photo, params={"keep": "2"}).content == photo


def test_nobody_gets_the_photo_back_when_it_fails(service: Caller, photo: bytes) -> None:
    """Every failure is a 4xx with a reason, in which no path and no name stands."""
    png = cv2.imencode(".png", decoded(photo))[1].tobytes()
    huge = photo.replace(b"\xff\xc0\x00\x11\x08\x01\x00\x02\x00", b"\xff\xc0\x00\x11\x08\x70\x00\x70\x00")
    assert huge != photo
    for data, status, code in (
        (photo[: len(photo) // 2], 422, "truncated"),
        (b"\xff\xd8 no photo", 422, "truncated"),
        (png, 415, "not_a_jpeg"),
        (b"", 415, "not_a_jpeg"),
        (huge, 413, "too_large"),
    ):
        answer = service.blur(data)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert set(answer.json()) == {"detail", "code"}
        assert "pii-blur-private" not in answer.text
        assert "picture.jpg" not in answer.text
    answer = service("POST", "/blur/", data={"picture": "text"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_page_lets_people_try_it(service: Caller) -> None:
    """GET and HEAD; it loads nothing from anywhere."""
    page = service("GET", "/blur/")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert "http" not in page.text.replace('http-equiv="', "")
    head = service("HEAD", "/blur/")
    assert (head.status_code, head.content) == (200, b"")


def test_our_api_gives_the_report_or_both(service: Caller, photo: bytes) -> None:
    """As the header Accept asks; positions go to who holds the photo, and to nobody else."""
    report = service.photo(photo, headers={"Accept": "application/json"}).json()
    assert (report["outcome"], report["width"], report["height"]) == ("blurred", 512, 256)
    assert report["people"] >= 3
    assert len(report["regions"][0]["corners"]) == len(report["regions"][0]["pixels"]) == 4
    assert report["regions"][0]["class"] == "person"
    both = parts(service.photo(photo, headers={"Accept": "multipart/form-data"}))
    assert json.loads(both["report"])["regions"] == report["regions"]
    assert not purple(decoded(both["photo"])).any()


def test_a_request_may_hide_more_but_not_less(service: Caller, open_service: Caller, photo: bytes) -> None:
    """Unless the operator lets it."""
    for less in ({"prob": 99.9}, {"classes": "car"}, {"views": "fast"}):
        refused = service.photo(photo, data=less)
        assert (refused.status_code, refused.json()["code"]) == (403, "hides_less"), less
    assert service.photo(photo, data={"prob": 5, "classes": "motorcycle,person,car,truck,bus"}).status_code == 200
    for wrong in ({"prob": 0}, {"prob": "nan"}, {"classes": "cats"}, {"method": "glass"}, {"views": "x"}):
        assert service.photo(photo, data=wrong).status_code == 422, wrong
    assert open_service.photo(photo, data={"prob": 99.9}).headers["x-pii-blur-people"] == "0"


def test_a_photo_says_no_more_than_was_asked_for(service: Caller, open_service: Caller, photo: bytes) -> None:
    """`pii-blur --trust-mark` believes it: where less was hidden than the operator has set, that must stand there."""
    full = Settings().claim()
    assert claim_in([service.photo(photo).content]) == claim_in([service.blur(photo).content]) == full
    less = claim_in([open_service.photo(photo, data={"prob": 85, "classes": "person,bus", "views": "fast"}).content])
    assert less == Settings(min_score=0.85, labels=(Label.PERSON, Label.BUS), views="fast").claim()
    assert not less.covers(full)


def wait_for(service: Caller, location: str) -> dict:
    for _ in range(600):
        state = service("GET", location).json()
        if state["status"] != "waiting":
            return state
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_a_job_is_done_in_the_background(service: Caller, photo: bytes) -> None:
    """Taken in, looked at, fetched, deleted."""
    begun = service.photo(photo, "/v1/jobs")
    assert begun.status_code == 202
    location = begun.headers["location"]
    assert location == f"/v1/jobs/{begun.json()['id']}"
    state = wait_for(service, location)
    assert state["status"] == "done"
    assert state["expires"]
    assert state["report"]["people"] >= 3
    fetched = service("GET", location + "/photo")
    assert fetched.headers["content-type"] == "image/jpeg"
    assert not purple(decoded(fetched.content)).any()
    assert service("DELETE", location).status_code == 204
    for method, path in (("GET", location), ("GET", location + "/photo"), ("DELETE", location)):
        assert service(method, path).json()["code"] == "no_such_job"


def test_a_job_that_fails_says_why_and_has_no_photo(service: Caller, photo: bytes) -> None:
    """Its result is a reason, and only that."""
    location = service.photo(photo[:2000], "/v1/jobs").headers["location"]
    state = wait_for(service, location)
    assert (state["status"], state["problem"]["code"], state["report"]) == ("failed", "truncated", None)
    assert service("GET", location + "/photo").json()["code"] == "not_done"


def test_jobs_expire_and_are_limited(photo: bytes) -> None:
    """What nobody fetches goes; nobody can fill the disk."""
    with running(job_minutes=0.02, max_jobs=2) as service:
        locations = [service.photo(photo, "/v1/jobs").headers["location"] for _ in range(2)]
        refused = service.photo(photo, "/v1/jobs")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
        assert refused.headers["retry-after"]
        for location in locations:
            wait_for(service, location)
        time.sleep(1.5)
        assert service("GET", locations[0]).status_code == 404
        assert service.photo(photo, "/v1/jobs").status_code == 202


def test_jobs_that_come_at_once_are_limited_too(photo: bytes) -> None:
    """However many are being received: one that is let in beyond the limit fills the disk as well."""
    with running(max_jobs=2) as service, ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: service.photo(photo, "/v1/jobs"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] * 2 + [429] * 6


def test_the_openapi_document_knows_every_route(service: Caller) -> None:
    """With models and examples for our own."""
    document = service("GET", "/openapi.json").json()
    assert {"/blur/", "/v1/photos", "/v1/jobs", "/v1/jobs/{job_id}", "/healthz", "/readyz", "/metrics"} <= set(
        document["paths"]
    )
    report = document["components"]["schemas"]["Report"]
    assert all("examples" in field or "$ref" in json.dumps(field) for field in report["properties"].values())
