"""BMW's contract by what its clients see: a client that knows that API alone, and a service in a process of its own."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from pii_blur.http.bmw import contract
from pii_blur.labels import DEFAULT_LABELS
from pii_blur.photo.metadata import MARK_NAMESPACE, claim_in
from pii_blur.settings import Settings
from pii_blur.sphere.extent import FlatExtent
from pii_blur.sphere.quad import SphereQuad
from tests import inference_server as remote
from tests.bmw_client import BmwClient, info
from tests.photos import with_tags
from tests.plugins import install
from tests.scenes import background, draw_people
from tests.service import decoded, jpeg, panorama, purple, running
from tests.service_process import ServiceProcess, service_process

SHAPE = {"success", "data", "error"}
BUILT_IN = "street-retinanet"
GPS = ("-GPSLatitude=48.85", "-GPSLatitudeRef=N", "-Make=Ricoh")
STRIPES = """
def draw(patch, degree):
    result = patch * 0
    result[..., 1] = 255  # green
    return result
draw.classes = ("person",)
"""


@pytest.fixture(scope="module")
def models() -> Iterator[remote.InferenceServer]:
    """An inference server."""
    with remote.inference_server() as server:
        yield server


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's folder."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def service(
    models: remote.InferenceServer, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """The service, with a technique of another package."""
    packages = tmp_path_factory.mktemp("packages")
    install(packages, "plugin_green", "green", STRIPES)
    settings = json.dumps({"outgoing": [models.address], "state_folder": str(state), "queue": 40})
    with service_process(("-m", "tests.service_process"), settings, packages=packages) as process:
        yield process


@pytest.fixture
def client(service: ServiceProcess, models: remote.InferenceServer) -> Iterator[BmwClient]:
    """A client of a service for which no inference server is set."""
    models.fault, models.in_colours = "", False
    models.asked.clear()
    there = BmwClient(service.address)
    yield there
    there.remove_all_urls()


@pytest.fixture(scope="module")
def weak_client() -> Iterator[BmwClient]:
    """A client of a service whose operator permits hiding that can be undone."""
    with running(allow_unblurred=True, hiding=Settings(views="fast")) as caller:
        yield BmwClient(caller.address)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A panorama with three people, one across the seam."""
    return panorama()


def error_of(answer: requests.Response, status: int) -> str:
    """Return the error of an answer in BMW's shape; no photo is in it."""
    assert answer.status_code == status, answer.text[:300]
    body = answer.json()
    assert set(body) == SHAPE
    assert body["success"] is False
    assert "a photo.jpg" not in answer.text
    return body["error"]


def test_a_photo_comes_back_with_people_black_and_all_else_as_it_was(client: BmwClient, tmp_path: Path) -> None:
    """In its own format, with its metadata; BMW gives a bare PNG that calls itself a JPEG."""
    tagged = with_tags(panorama(), tmp_path, *GPS)
    answer = client.anonymize(tagged, info(BUILT_IN, "person", "blackening", 1))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    before, after = decoded(tagged), decoded(answer.content)
    assert after.shape == before.shape
    assert not purple(after).any()
    assert (after[purple(before)].max(axis=-1) < 24).all()  # black, but for what JPEG makes of an edge
    is_same = (after == before).all(axis=-1)
    assert is_same.mean() > 0.7
    with Image.open(io.BytesIO(answer.content)) as image:
        exif = image.getexif()
    assert exif[0x010F] == "Ricoh"
    assert exif.get_ifd(0x8825)[2] == (48.0, 51.0, 0.0)


def test_only_what_was_searched_for_all_classes_says_so(client: BmwClient) -> None:
    """`pii-blur --trust-mark` would never look for people in a photo of which a client had but the cars hidden."""
    entries = [info(BUILT_IN, label.word, "blackening", 1) for label in DEFAULT_LABELS]
    assert MARK_NAMESPACE in client.anonymize(panorama(), *entries).content
    few = client.anonymize(panorama(), entries[0])
    assert few.status_code == 200
    assert MARK_NAMESPACE not in few.content


def test_what_is_hidden_weakly_is_not_vouched_for(weak_client: BmwClient) -> None:
    """Who may ask for a blur that can be undone gets no photo that says that it is done."""
    strong = [info(BUILT_IN, label.word, "blackening", 1) for label in DEFAULT_LABELS]
    assert claim_in([weak_client.anonymize(panorama(), *strong).content]) is not None
    weak = [info(BUILT_IN, "person", "blurring", 0.1), *strong[1:]]
    answer = weak_client.anonymize(panorama(), *weak)
    assert answer.status_code == 200
    assert claim_in([answer.content]) is None


def test_a_server_that_hangs_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked for: more often than there are threads for all that the service does."""
    monkeypatch.setattr(contract, "QUESTION_TIMEOUT_S", 300)
    with ExitStack() as stack:
        hanging = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{hanging.getsockname()[1]}/"
        caller = stack.enter_context(running(outgoing=(address,), hiding=Settings(views="fast")))
        threads = stack.enter_context(ThreadPoolExecutor(50))
        post = partial(requests.post, f"{caller.address}/set_url", {"url": address}, timeout=300)
        asked = [threads.submit(post) for _ in range(50)]
        stack.callback(hanging.close)
        held = [stack.enter_context(hanging.accept()[0]) for _ in range(4)]
        assert caller.photo(panorama()).status_code == 200
        assert BmwClient(caller.address).anonymize(panorama(), info(BUILT_IN, "person", "blackening", 1)).ok
        assert not any(one.done() for one in asked)
        hanging.close()
        for connection in held:
            connection.close()
        assert {one.result().status_code for one in asked} == {502}


def test_what_there_is_can_be_asked(client: BmwClient, models: remote.InferenceServer) -> None:
    """By class: the built-in model's are our labels; a server's are its own."""
    table = client.available_methods()
    assert set(table) == {"person", "car", "truck", "bus", "motorcycle"}
    assert table["person"] == {
        "detection": {"built-in": [BUILT_IN]},
        "technique": ["blackening", "pixelating", "blurring", "green"],
    }
    assert "green" not in table["car"]["technique"]
    assert client.set_url(models.address).json()["data"] == "url added successfully"
    table = client.available_methods()
    assert table["face"]["detection"] == {models.address: ["boxes"]}
    assert table["face"]["segmentation"] == {models.address: ["masks"]}


def test_flat_photos_and_other_formats_are_taken_too(client: BmwClient) -> None:
    """A PNG stays a PNG; what is not twice as wide as high is no panorama."""
    extent = FlatExtent(400, 300)
    person = SphereQuad.from_angles(10, 5, 12, 16)
    pixels = draw_people(background(400, 300), extent, [person])
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    answer = client.anonymize(data.getvalue(), info(BUILT_IN, "person", "blurring", 0.9))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "PNG"
        after = np.array(image.convert("RGB"))
    assert purple(pixels).any()
    assert not purple(after).any()
    assert (after == pixels).all(axis=-1).mean() > 0.8


def test_a_photo_without_finds_comes_back_as_it_was(client: BmwClient) -> None:
    """Byte for byte; so does one in which another class was to be hidden."""
    empty = jpeg(background(512, 256))
    assert client.anonymize(empty, info(BUILT_IN, "person", "blurring", 1)).content == empty


@pytest.mark.parametrize("technique", ["blurring", "pixelating"])
@pytest.mark.parametrize("degree", [0, 0.01])
def test_weak_degrees_are_raised_and_said_to_be(client: BmwClient, photo: bytes, technique: str, degree: float) -> None:
    """At 0 BMW's own would leave the photo as it is, or divide by zero."""
    answer = client.anonymize(photo, info(BUILT_IN, "person", technique, degree))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-degree-raised"] == "1"
    assert not purple(decoded(answer.content)).any()


def test_a_technique_of_another_package_is_used(client: BmwClient, photo: bytes) -> None:
    """Installed, not built in."""
    answer = client.anonymize(photo, info(BUILT_IN, "person", "green", 1))
    assert answer.status_code == 200, answer.text
    red, green, blue = np.moveaxis(decoded(answer.content)[purple(decoded(photo))].astype(int), -1, 0)
    assert (green > 180).mean() > 0.9
    assert not purple(decoded(answer.content)).any()
    assert (red + blue).mean() < 100
    error_of(client.anonymize(photo, info(BUILT_IN, "car", "green", 1)), 422)


@pytest.mark.parametrize("in_colours", [False, True])
def test_an_inference_server_finds_what_our_model_does_not_know(
    client: BmwClient, models: remote.InferenceServer, photo: bytes, in_colours: bool
) -> None:
    """Boxes and masks, black and blurred; the masks hide less beside the people."""
    models.in_colours = in_colours
    client.set_url(models.address)
    before = decoded(photo)
    boxes = client.anonymize(photo, info("boxes", "face", "blackening", 1))
    url = models.address
    masks = client.anonymize(photo, info("masks", "face", "blackening", 1, "segmentation", url=url))
    hidden = []
    for answer in (boxes, masks):
        assert answer.status_code == 200, answer.text
        after = decoded(answer.content)
        assert not purple(after).any()
        hidden.append((after != before).any(axis=-1))
    assert hidden[1].sum() < hidden[0].sum()
    nothing = client.anonymize(photo, info("boxes", "plate", "blackening", 1))
    assert nothing.content == photo


def test_each_entry_has_its_own_technique(client: BmwClient, models: remote.InferenceServer, photo: bytes) -> None:
    """Our model and a server's in one request; every view is shown to the server once."""
    client.set_url(models.address)
    answer = client.anonymize(
        photo,
        info(BUILT_IN, "person", "blackening", 1),
        info("boxes", "face", "blurring", 1),
        info("boxes", "plate", "pixelating", 1),
    )
    assert answer.status_code == 200, answer.text
    assert not purple(decoded(answer.content)).any()
    posts = [path for path in models.asked if path.endswith("predict")]
    alone = client.anonymize(photo, info("boxes", "face", "blurring", 1))
    assert alone.status_code == 200
    assert len([path for path in models.asked if path.endswith("predict")]) == 2 * len(posts)


def test_every_mistake_of_a_configuration_is_told_before_anything_is_done(
    client: BmwClient, models: remote.InferenceServer, photo: bytes
) -> None:
    """Model, class, technique, degree, type, server: with the number of the entry, status 422, and no photo."""
    client.set_url(models.address)
    models.asked.clear()
    answer = client.anonymize(
        photo,
        info(BUILT_IN, "person", "blackening", 1),
        info("yolo", "person", "blackening", 1),
        info(BUILT_IN, "cat", "vanishing", 1),
        info(BUILT_IN, "car", "blackening", 0.5),
        info(BUILT_IN, "bus", "blurring", 1, "segmentation"),
        info("boxes", "face", "blurring", 1, url="http://169.254.169.254/"),
        info(BUILT_IN, "person", "blurring", 1),
    )
    assert "/available_methods/" in error_of(answer, 422)
    told = answer.json()["data"]
    assert [line.split(":")[0][-1] for line in told] == ["2", "3", "3", "4", "5", "6", "7"]
    for part in ("yolo", "vanishing", "cat", "see-through", "no masks", "169.254", "same as sensitive info 1"):
        assert any(part in line for line in told), part
    assert not any(path.endswith(("predict", "inference")) for path in models.asked)


def test_broken_requests_have_the_same_shape(client: BmwClient, photo: bytes) -> None:
    """Whatever is wrong: no JSON, no photo, a field missing, a text for a file."""
    good = json.dumps({"sensitive_info": [info(BUILT_IN, "person", "blurring", 1)]}).encode()
    error_of(client.anonymize_with(photo, b"{"), 422)
    error_of(client.anonymize_with(b"no photo", good), 415)
    error_of(client.anonymize_with(photo[:3000], good), 422)
    error_of(client.anonymize_with(b"", good), 422)
    error_of(client.post("/anonymize/", files={"image": photo}), 422)
    error_of(client.post("/anonymize/", files={"image": photo}, data={"configuration": good}), 422)
    error_of(client.post("/set_url"), 422)
    error_of(client.get("/anonymize/"), 405)


def test_videos_are_refused_with_a_reason(client: BmwClient) -> None:
    """Until they can be done."""
    files = {"video": ("film.mp4", b"\0" * 1000), "configuration": ("user_configuration.json", b"{}")}
    assert "video" in error_of(client.post("/anonymize_video/", files=files), 501)


def test_only_servers_that_the_operator_allowed_are_asked(client: BmwClient, models: remote.InferenceServer) -> None:
    """set_url is no way into the operator's network."""
    for url in (
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/",
        models.address.replace("127.0.0.1", "localhost"),
        models.address.replace("http:", "https:"),
    ):
        assert "allows" in error_of(client.set_url(url), 403)
    for url in ("", "nonsense", models.address + "?x=1", "http://user@" + models.address[7:], "file:///etc/passwd"):
        error_of(client.set_url(url), 422)
    assert client.list_urls() == []
    assert not models.asked


def test_the_list_of_servers_is_as_bmw_has_it(client: BmwClient, models: remote.InferenceServer, state: Path) -> None:
    """Set, set again, listed, kept in a file, removed, removed again, all removed; a dead one is not taken."""
    assert client.set_url(models.address).json() == {"success": True, "data": "url added successfully", "error": ""}
    assert client.set_url(models.address.rstrip("/")).json()["data"] == "url already exist"
    assert client.list_urls() == [models.address]
    assert json.loads((state / "bmw-urls.json").read_text()) == {"urls": [models.address]}
    assert client.remove_url(models.address).json()["data"] == "url removed successfully"
    assert "not present" in error_of(client.remove_url(models.address), 404)
    models.fault = "error"
    assert "not reachable" in error_of(client.set_url(models.address), 502)
    assert client.list_urls() == []
    assert client.remove_all_urls().json()["data"] == "all urls removed successfully"


@pytest.mark.parametrize("fault", ["error", "redirect", "text", {"bounding-boxes": [{"ObjectClassName": "face"}]}])
def test_a_server_that_fails_gives_an_error_and_no_photo(
    client: BmwClient, models: remote.InferenceServer, photo: bytes, fault: object
) -> None:
    """Between the question for its models and the first view, too."""
    client.set_url(models.address)
    models.fault = fault
    error = error_of(client.anonymize(photo, info("boxes", "face", "blackening", 1)), 502)
    assert models.address in error
    if fault == "error":
        assert set(client.available_methods()) == {"person", "car", "truck", "bus", "motorcycle"}


def test_a_view_that_fails_gives_an_error_and_no_photo(
    client: BmwClient, models: remote.InferenceServer, photo: bytes
) -> None:
    """The models are told as ever; only looking fails."""
    client.set_url(models.address)
    models.fault_of_views = True
    try:
        error = error_of(client.anonymize(photo, info("boxes", "face", "blackening", 1)), 502)
    finally:
        models.fault_of_views = False
    assert "predict" in error


def test_requests_at_one_time_do_not_mix(client: BmwClient, photo: bytes) -> None:
    """BMW's all write the same configuration file."""
    clean = jpeg(background(512, 256))
    wishes = [info(BUILT_IN, "person", technique, 1) for technique in ("blackening", "green", "blurring")] * 2

    def ask(number: int) -> requests.Response:
        return client.anonymize(clean if number % 4 == 3 else photo, wishes[number % 3])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(12)))
    expected = {number: client.anonymize(photo, wishes[number]).content for number in range(3)}
    for number, answer in enumerate(answers):
        assert answer.status_code == 200, answer.text
        assert answer.content == (clean if number % 4 == 3 else expected[number % 3])


@pytest.mark.parametrize(("technique", "degree"), [("blackening", 0.5), ("blurring", 0.1), ("pixelating", 0.05)])
def test_weak_degrees_are_what_bmw_has_where_the_operator_wants_them(
    photo: bytes, weak_client: BmwClient, technique: str, degree: float
) -> None:
    """Nothing is raised or refused then, and the check lets it pass."""
    answer = weak_client.anonymize(photo, info(BUILT_IN, "person", technique, degree))
    assert answer.status_code == 200, answer.text
    assert "x-degree-raised" not in answer.headers
    before, after = (decoded(data).astype(int) for data in (photo, answer.content))
    people = purple(before)
    assert np.abs(after - before)[people].mean() > 10
    assert (after[..., 0] - after[..., 1])[people].mean() > 40  # their colour is left
    error_of(weak_client.anonymize(photo, info(BUILT_IN, "person", "blackening", 0)), 422)


@pytest.mark.slow
def test_a_real_panorama_through_the_real_command(shared: Path, tmp_path: Path) -> None:
    """`pii-blur serve` with its own model: where its report says that somebody is, BMW's client sees black."""
    data = (shared / "eval" / "panos" / "ComuneDiGenova__PlayPhygitalGenova-VirtualTour__ztl_04_0885.jpg").read_bytes()
    command = ("-m", "pii_blur", "serve", "--port", "0", "--views", "fast", "--state", str(tmp_path))
    with service_process(command) as process:
        client = BmwClient(process.address)
        (model,) = client.available_methods()["person"]["detection"]["built-in"]
        classes = ("person", "car", "truck", "bus")
        answer = client.anonymize(data, *(info(model, name, "blackening", 1) for name in classes))
        report = client.post("/v1/photos", files={"photo": data}, headers={"Accept": "application/json"}).json()
    assert answer.status_code == 200, answer.text
    before, after = decoded(data), decoded(answer.content)
    assert report["regions"]
    for region in report["regions"]:
        u, v = np.array(region["pixels"]).mean(axis=0).astype(int)
        if np.ptp(np.array(region["pixels"])[:, 0]) < before.shape[1] / 2:  # not across the seam
            assert after[v, u].max() < 24, region
    black = (after.max(axis=-1) < 24) & (before.max(axis=-1) >= 24)
    changed = (after != before).any(axis=-1)
    assert black.any()
    assert changed.mean() < 0.5
    assert "ztl" not in "".join(process.log)


def test_a_broken_technique_stops_the_service_from_starting(tmp_path: Path) -> None:
    """With its name, the package's, and what to do."""
    install(tmp_path, "plugin_bad", "bad", "def draw(patch, degree):\n    return patch[1:]\n")
    with (
        pytest.raises(AssertionError, match=r"(?s)technique bad of the package plugin-bad.*uninstall"),
        service_process(("-m", "pii_blur", "serve", "--port", "0"), packages=tmp_path),
    ):
        pass
