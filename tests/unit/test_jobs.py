"""Which photos a run finds, and which places it refuses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.batch.jobs import FoundPhoto, PhotoScan, is_settled, is_temporary, printable
from pii_blur.batch.options import DEFAULT_EXTENSIONS, RunOptions
from pii_blur.batch.places import Places, find_places
from pii_blur.errors import UsageFailure
from pii_blur.results import SideFiles
from tests.fakes import make_photo, make_photos


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def scan(source: Path, output: Path | None = None, **arguments: object) -> PhotoScan:
    return PhotoScan(Places(source, output or source.parent / "out"), DEFAULT_EXTENSIONS, **arguments)  # type: ignore[arg-type]


def keys(source: Path, output: Path | None = None) -> list[str]:
    return [photo.key for photo in scan(source, output)]


def test_photos_come_in_one_order_with_keys_below_input(source: Path) -> None:
    """The order is by name, a folder's files before its sub-folders, whatever the file system says."""
    for name in ("z.jpg", "a.JPG", "sub/b.Jpeg", "sub/deep/c.png", "another/d.jpe", "e.jfif"):
        make_photo(source / name)
    assert keys(source) == ["a.JPG", "e.jfif", "z.jpg", "another/d.jpe", "sub/b.Jpeg", "sub/deep/c.png"]


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden.jpg", "~$open.jpg", "new.jpg.part", "new.jpg~", ".pii-blur-x.part.jpg", ".pii-blur/x.jpg"),
        *(".cache/x.jpg", "@eaDir/x.jpg", "__MACOSX/x.jpg", "upload.tmp/x.jpg", "b.jpg.crdownload"),
    ],
)
def test_hidden_and_temporary_names_are_no_photos(source: Path, name: str) -> None:
    """Nothing hidden or half written is taken, in files and folders."""
    make_photo(source / name)
    assert keys(source) == []


def test_other_files_are_counted_by_ending(source: Path) -> None:
    """Nobody has to wonder where the raw files went."""
    make_photos(source, a="blur")
    for name in ("a.dng", "b.DNG", "readme"):
        make_photo(source / name)
    found = scan(source)
    assert [photo.key for photo in found] == ["a.jpg"]
    assert found.ignored == {".dng": 2, "": 1}


def test_the_listing_opens_no_photo(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing 100,000 photos costs names and times only."""
    make_photos(source, a="blur", b="blur")
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a photo was opened"))
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("a photo was opened"))
    assert keys(source) == ["a.jpg", "b.jpg"]


def test_links_to_files_are_followed_and_report_the_files_size(source: Path, tmp_path: Path) -> None:
    """A link to a photo elsewhere is a photo."""
    elsewhere = make_photo(tmp_path / "elsewhere" / "x.jpg", "four")
    (source / "link.jpg").symlink_to(elsewhere)
    assert [(photo.key, photo.size) for photo in scan(source)] == [("link.jpg", 4)]


def test_folder_links_are_followed_but_loops_are_not(source: Path, tmp_path: Path) -> None:
    """A link to another folder is searched once per name; one to a folder it lies in is not."""
    make_photo(source / "sub" / "a.jpg")
    (source / "sub" / "loop").symlink_to(source)
    (source / "self").symlink_to(source / "self")
    make_photo(tmp_path / "elsewhere" / "b.jpg")
    (source / "more").symlink_to(tmp_path / "elsewhere")
    assert keys(source) == ["more/b.jpg", "sub/a.jpg"]


def test_links_into_output_are_no_photos(source: Path, tmp_path: Path) -> None:
    """A result is never taken for an original, by file link or folder link."""
    result = make_photo(tmp_path / "out" / "done.jpg")
    (source / "again.jpg").symlink_to(result)
    (source / "results").symlink_to(tmp_path / "out")
    make_photos(source, a="blur")
    assert keys(source) == ["a.jpg"]


def test_dangling_link_is_a_problem_and_not_silence(source: Path) -> None:
    """A photo that should be there and is not must be reported."""
    (source / "gone.jpg").symlink_to(source / "nowhere.jpg")
    found = scan(source)
    assert list(found) == []
    assert [(problem.key, problem.error.code) for problem in found.problems if problem.error] == [
        ("gone.jpg", "dangling_link")
    ]


def test_unreadable_folder_is_a_problem_and_the_rest_goes_on(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos that could not even be listed are never passed over in silence."""
    make_photo(source / "shut" / "a.jpg")
    make_photo(source / "zoo" / "b.jpg")
    listing = os.scandir

    def refuse(folder: Path) -> object:  # by hand, because to root no folder is shut
        if folder.name == "shut":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = scan(source)
    assert [photo.key for photo in found] == ["zoo/b.jpg"]
    assert [problem.key for problem in found.problems] == ["shut/"]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_survive(source: Path) -> None:
    """The file is found again by its key."""
    raw = os.fsencode(source) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:  # noqa: PTH123 (a name that is no text)
        file.write(b"x")
    (photo,) = scan(source)
    assert photo.key == "caf\udce9.jpg"
    assert Places(source, source.parent / "out").job(photo.key).source.read_bytes() == b"x"
    assert printable(photo.key) == "caf\\udce9.jpg"


def test_second_name_that_output_cannot_tell_apart_is_a_problem(source: Path) -> None:
    """On a file system that folds case, no result replaces another photo's."""
    make_photo(source / "A" / "x.jpg")
    make_photo(source / "a" / "X.JPG")
    found = scan(source, fold_case=True)
    assert [photo.key for photo in found] == ["A/x.jpg"]
    assert [problem.key for problem in found.problems] == ["a/X.JPG"]
    assert len(keys(source)) == 2


def test_a_link_in_output_that_leads_back_into_input_is_refused(source: Path, tmp_path: Path) -> None:
    """Writing a result must never overwrite an original."""
    make_photo(source / "sub" / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(source / "sub")
    with pytest.raises(UsageFailure, match="leads back into INPUT"):
        keys(source)


def test_a_linked_photo_whose_result_would_replace_it_is_left_alone(source: Path, tmp_path: Path) -> None:
    """INPUT/sub/a.jpg leads to the very file that OUTPUT/sub/a.jpg would be."""
    original = make_photo(tmp_path / "shelf" / "a.jpg")
    (source / "sub").mkdir()
    (source / "sub" / "a.jpg").symlink_to(original)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(original.parent)
    assert keys(source) == []


@given(st.text())
def test_printable_text_fits_one_line(text: str) -> None:
    """No file name can forge a line of the log."""
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("mtime", "ctime", "settled"),
    [
        (1000.0, 1000.0, True),
        (1000.0, 1995.0, False),  # copied with its old time, a moment ago
        (1995.0, 1000.0, False),
        (1990.0, 1990.0, True),  # exactly as long ago as asked
        (2004.0, 1000.0, False),  # a file server's clock is a little ahead
        (9999.0, 1000.0, True),  # a time in the future says nothing
        (9999.0, 1995.0, False),
        (9999.0, 9999.0, True),  # and must not make a photo wait for ever
    ],
)
def test_photo_waits_while_it_changed_a_moment_ago(mtime: float, ctime: float, settled: bool) -> None:
    """Both times count, and a future one is ignored (now is 2000, settle 10)."""
    photo = FoundPhoto("a.jpg", 1, int(mtime * 1e9), int(ctime * 1e9))
    assert is_settled(photo, 10.0, 2000 * 10**9) is settled


def test_settle_zero_waits_for_nothing() -> None:
    """--settle 0 takes what was written this very moment."""
    assert is_settled(FoundPhoto("a.jpg", 1, 5, 5), 0.0, 5)


def test_temporary_names() -> None:
    """Ordinary names are not taken for temporary ones."""
    assert not any(map(is_temporary, ("a.jpg", "part.jpg", "tmp", "a~b.jpg", "IMG.part.jpg")))


# --- places ------------------------------------------------------------------------------------------------------


def test_output_elsewhere_is_accepted_though_it_does_not_exist(source: Path, tmp_path: Path) -> None:
    """A folder is made, not asked for."""
    places = find_places(RunOptions(source, tmp_path / "new" / "out"))
    assert places.job("sub/a.jpg").destination == tmp_path / "new" / "out" / "sub" / "a.jpg"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        *(("in", "is INPUT itself"), ("in/sub/new", "lies inside INPUT"), (".", "contains INPUT")),
        *(("in/..", "contains"), ("link", "is INPUT itself"), ("link/new/deep", "lies inside")),
        ("dangling", "lies inside"),
    ],
)
def test_output_that_meets_input_is_refused(source: Path, tmp_path: Path, output: str, message: str) -> None:
    """Also through links, and through links above folders that do not exist yet."""
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "dangling").symlink_to(source / "not yet")
    with pytest.raises(UsageFailure, match=message):
        find_places(RunOptions(source, tmp_path / output))


def test_input_given_as_link_is_the_folder_behind_it(source: Path, tmp_path: Path) -> None:
    """INPUT a link, OUTPUT inside what it leads to."""
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(UsageFailure, match="lies inside INPUT"):
        find_places(RunOptions(tmp_path / "link", source / "out"))


def test_missing_input_and_output_that_is_a_file_are_refused(source: Path, tmp_path: Path) -> None:
    """Both are named before anything is opened."""
    with pytest.raises(UsageFailure, match="does not exist"):
        find_places(RunOptions(tmp_path / "no", tmp_path / "out"))
    file = make_photo(tmp_path / "file")
    with pytest.raises(UsageFailure, match="is a file"):
        find_places(RunOptions(source, file))


def test_single_photo_is_found_whatever_its_ending(tmp_path: Path) -> None:
    """Who names a photo means it."""
    photo = make_photo(tmp_path / "a.photo")
    places = find_places(RunOptions(photo, tmp_path / "out"))
    assert [found.key for found in PhotoScan(places, DEFAULT_EXTENSIONS)] == ["a.photo"]
    assert places.job("a.photo").destination == tmp_path / "out" / "a.photo"


def test_single_photo_may_have_its_results_in_a_sub_folder(tmp_path: Path) -> None:
    """Only the photo's own folder is refused."""
    photo = make_photo(tmp_path / "a.jpg")
    find_places(RunOptions(photo, tmp_path / "out"))
    find_places(RunOptions(photo, tmp_path.parent))
    with pytest.raises(UsageFailure, match="the folder of the photo itself"):
        find_places(RunOptions(photo, tmp_path))


def test_single_photo_that_is_a_link_is_not_overwritten_where_it_leads(tmp_path: Path) -> None:
    """a/x.jpg -> b/x.jpg with OUTPUT b would replace the original."""
    original = make_photo(tmp_path / "b" / "x.jpg")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jpg").symlink_to(original)
    with pytest.raises(UsageFailure, match="the folder of the photo itself"):
        find_places(RunOptions(tmp_path / "a" / "x.jpg", tmp_path / "b"))


def test_output_named_like_a_photo_is_refused(tmp_path: Path) -> None:
    """`pii-blur a.jpg b.jpg 40` would make a folder called b.jpg."""
    with pytest.raises(UsageFailure, match="looks like a photo"):
        find_places(RunOptions(make_photo(tmp_path / "a.jpg"), tmp_path / "b.jpg"))


@pytest.mark.parametrize("place", ["out", "out/sub", "in", "in/sub", "."])
@pytest.mark.parametrize("kind", ["detections", "preview"])
def test_side_folders_that_meet_output_or_input_are_refused(
    source: Path, tmp_path: Path, kind: str, place: str
) -> None:
    """What tells where people stood must not be published, and INPUT is never written to."""
    side = SideFiles(**{kind: tmp_path / place})
    with pytest.raises(UsageFailure, match=f"--{kind}"):
        find_places(RunOptions(source, tmp_path / "out", side=side))


def test_side_folders_elsewhere_are_accepted(source: Path, tmp_path: Path) -> None:
    """Beside is fine."""
    side = SideFiles(detections=tmp_path / "d", preview=tmp_path / "p")
    find_places(RunOptions(source, tmp_path / "out", side=side, journal=tmp_path / "j"))


def test_detections_are_not_read_and_written_in_one_place(source: Path, tmp_path: Path) -> None:
    """What a person edited is only read."""
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageFailure, match="two folders"):
        side = SideFiles(detections=tmp_path / "d", from_detections=tmp_path / "d")
        find_places(RunOptions(source, tmp_path / "out", side=side))
    with pytest.raises(UsageFailure, match="not a folder"):
        find_places(RunOptions(source, tmp_path / "out", side=SideFiles(from_detections=tmp_path / "no")))


def test_detections_to_read_and_journal_are_refused_inside_output(source: Path, tmp_path: Path) -> None:
    """OUTPUT is what gets published; OUTPUT/.pii-blur alone is the journal's."""
    (tmp_path / "out" / "d").mkdir(parents=True)
    with pytest.raises(UsageFailure, match="--from-detections"):
        find_places(RunOptions(source, tmp_path / "out", side=SideFiles(from_detections=tmp_path / "out" / "d")))
    for place in ("out", "out/journal"):
        with pytest.raises(UsageFailure, match="--journal"):
            find_places(RunOptions(source, tmp_path / "out", journal=tmp_path / place))
    find_places(RunOptions(source, tmp_path / "out", journal=tmp_path / "out" / ".pii-blur"))


def test_journal_inside_input_is_refused(source: Path, tmp_path: Path) -> None:
    """INPUT is never written to."""
    with pytest.raises(UsageFailure, match="--journal"):
        find_places(RunOptions(source, tmp_path / "out", journal=source / "j"))


@pytest.mark.parametrize(
    "values", [{"settle": -1.0}, {"settle": float("nan")}, {"workers": -1}, {"extensions": ()}, {"extensions": ("",)}]
)
def test_options_out_of_range_are_refused(values: dict[str, object]) -> None:
    """Options are checked where they are made."""
    with pytest.raises(ValueError, match=r"."):
        RunOptions(Path("a"), Path("b"), **values)  # type: ignore[arg-type]
