"""Take away one protection after the other, and see whether tests/privacy notices.

    python benchmarks/mutate_protections.py                 # all, a quarter of an hour on two cores
    python benchmarks/mutate_protections.py thumbnail       # those whose name contains a word

A scratch copy of the checkout gets one change at a time: the line that protects is replaced by one that does not. The
tests that are meant to notice run first; if they pass, all of tests/privacy does. A protection that nothing misses is
printed as MISSED, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 600


@dataclass(frozen=True)
class Mutation:
    """One protection: its name, the file, the text that protects, what replaces it, the tests meant to notice (-k)."""

    name: str
    file: str
    old: str
    new: str
    tests: str


GUARD = [
    (
        "guard: examines before the name is given",
        "publish.py",
        "check(temporary.read_bytes())",
        "pass",
        "disk or mistakes",
    ),
    ("guard: examines what lies on the disk", "publish.py", "check(temporary.read_bytes())", "check(data)", "disk"),
    ("guard: size", "guard.py", "if before.size != after.size:", "if False:", "size"),
    ("guard: orientation", "guard.py", "if before.orientation != after.orientation or", "if False and", "orientation"),
    ("guard: strays", "guard.py", "if after.strays:", "if False:", "follows or between or further"),
    ("guard: bytes behind a JPEG", "guard_parts.py", 'jpeg.trailer.strip(b"\\0") != b""', "False", "follows"),
    ("guard: JFXX", "guard_parts.py", '"a thumbnail of JFIF\'s": has_jfxx', '"": False', "further_picture"),
    ("guard: bytes between segments", "guard_parts.py", "not jpeg.is_tidy,", "False,", "between"),
    ("guard: lost blocks", "guard.py", "if name := lost_block(before, after):", "if name := '':", "unknown_segment"),
    ("guard: tags", "guard.py", "if tags is not None and", "if False and", "tag_that_changed or lost_text"),
    ("guard: new tags count", "tags.py", "before.keys() | after.keys()", "before.keys()", "tag_that_changed"),
    ("guard: same coding", "guard.py", "if not same_meaning(", "if False and (", "another_table"),
    (
        "guard: damage counts",
        "turbojpeg.py",
        "            if status != 0:\n",
        "            if False:\n",
        "cut_off",
    ),
    (
        "guard: coefficients outside",
        "guard.py",
        '    if changed:\n        raise _wrong(f"coeff',
        '    if False:\n        raise _wrong(f"coeff',
        "coefficient",
    ),
    (
        "guard: detail in JPEGs",
        "guard.py",
        "    _refuse_detail_of_blocks(before, old, new, mask, pool)",
        "    pass",
        "source_itself",
    ),
    (
        "guard: detail in other pictures",
        "guard.py",
        "_refuse_detail(shows_through(plane, other, mask))",
        "pass",
        "png_is_noticed or encoded_anew",
    ),
    (
        "guard: every colour",
        "guard.py",
        "pool.map(look, old.planes, new.planes, steps)",
        "pool.map(look, old.planes[:1], new.planes, steps)",
        "colour",
    ),
    (
        "guard: single blocks",
        "guard_detail.py",
        "share - _SURE * error > _MOST_SHARE_OF_BLOCK",
        "share > 1e9",
        "one_block or one_region or however",
    ),
    (
        "guard: whole regions",
        "guard_detail.py",
        "for number in np.flatnonzero(seen_regions):",
        "for number in []:",
        "weakest or narrower",
    ),
    ("guard: coarse detail", "guard_detail.py", "factor <= _COARSEST:", "factor <= 1:", "narrower"),
    ("guard: specks", "guard_detail.py", "place = _in_specks(source, result, mask, grid)", "place = None", "speck"),
    (
        "guard: hidden by an unmeasured method",
        "guard_detail.py",
        "place = _unchanged(source, result, _UNMEASURED[grid])",
        "pass",
        "however",
    ),
    (
        "guard: hidden by an unknown method",
        "guard_detail.py",
        "_SIGMAS_PX[UNKNOWN] = _SIGMA",
        "pass",
        "veil",
    ),
    ("guard: turned photos", "guard.py", "mask = _as_stored(mask, before.orientation)", "pass", "turned"),
    ("guard: pixels outside", "guard.py", "    if is_wrong:", "    if False:", "changed_pixel or encoded_anew"),
    (
        "guard: any picture",
        "guard.py",
        "if what := foreign_pictures(after.blocks, expected):",
        "if what := '':",
        "thumbnail or further",
    ),
    (
        "guard: pictures by their frame",
        "guard_pictures.py",
        "for one in find_pictures(data):",
        "for one in find_pictures(data) if b'Exif' in data[:4] else []:",
        "first_byte",
    ),
    (
        "guard: pictures that open",
        "openable.py",
        "if kind := _opened_as(part, match.start(), patience):",
        "if kind := '':",
        "bitmap or further",
    ),
    ("guard: films", "openable.py", "if film := _FILM.search(part):", "if film := None:", "further"),
    ("guard: base64", "openable.py", "for part in (data, *_decoded(data)):", "for part in (data,):", "base64"),
    (
        "guard: uncompressed pictures",
        "guard_pictures.py",
        "if uncompressed_pictures(data):",
        "if False:",
        "test_exif_thumbnails",
    ),
    ("guard: one thumbnail only", "guard_pictures.py", "if thumbnails >= expected.most or", "if", "further"),
    (
        "guard: a JPEG is opened without its metadata",
        "openable.py",
        "header = _jpeg_header(data, start, patience)",
        "header = data[start : start + _WINDOW]",
        "however_long",
    ),
    (
        "guard: a JPEG with too many tables counts",
        "openable.py",
        'return "JPEG" if header else ""',
        'return ""',
        "more_tables",
    ),
    (
        "guard: thumbnails are small",
        "guard_pictures.py",
        "if max(opened.size) > _LARGEST:",
        "if False:",
        "large_picture",
    ),
    (
        "guard: thumbnail of this photo",
        "guard_pictures.py",
        ".max() > _MOST_DIFFERENCE:",
        ".max() > 1e9:",
        "something_else or copy_must",
    ),
    (
        "guard: thumbnail is blurred",
        "guard_pictures.py",
        "((change > _LEAST_CHANGE) & is_source).any()",
        "False",
        "need_not_differ",
    ),
    (
        "guard: copies keep their picture (JPEG)",
        "guard.py",
        "elif before.coded != after.coded:",
        "elif False:",
        "copy_must",
    ),
    (
        "guard: copies keep their picture (PNG)",
        "guard.py",
        "if not np.array_equal(old.samples, new.samples):",
        "if False:",
        "copy_must",
    ),
]
CLEANING = [
    (
        "JFXX thumbnails are dropped",
        "metadata.py",
        "if not (one.marker == APP0 and one.payload.startswith(JFXX))]",
        "if True]",
        "JFXX",
    ),
    (
        "EXIF thumbnail is deleted",
        "by_name.py",
        '_THUMBNAIL = ("-IFD1:all=", "-IFD2:all=")',
        "_THUMBNAIL = ()",
        "thumbnail",
    ),
    (
        "a fresh thumbnail is written",
        "by_name.py",
        'if thumbnail and "IFD1:ThumbnailImage" in before:',
        "if False:",
        "fresh",
    ),
    *(
        (f"{tag} is deleted", "by_name.py", f'    "-{tag}=",\n', "", test)
        for tag, test in {
            "MPF:all": "tags_of_a_picture",
            "PhotoshopThumbnail": "tags_of_a_picture",
            "XMP-xmp:Thumbnails": "tags_of_a_picture",
            "XMP-GImage:all": "tags_of_a_picture",
            "XMP-GDepth:all": "tags_of_a_picture",
            "FlashPix:all": "tags_of_a_picture",
        }.items()
    ),
    (
        "what has no name is blanked",
        "metadata.py",
        "cleaned, kinds = _blank_rest(_only_once(plain, thumbnail), (thumbnail, *keep))",
        "cleaned, kinds = plain, []",
        "unknown",
    ),
    (
        "the fresh thumbnail stands in one place",
        "metadata.py",
        "_blank_rest(_only_once(plain, thumbnail),",
        "_blank_rest(plain,",
        "two_exif_blocks",
    ),
    (
        "what opens as a picture is not kept",
        "spared.py",
        "if what := anything_openable(data):",
        "if what := '':",
        "looks_like_none",
    ),
    (
        "spared XMP whose letters nobody sees",
        "spared.py",
        "is_hard_to_read = kind == XMP_BLOCK and bool(find_pictures(_unescaped(data)))",
        "is_hard_to_read = False",
        "damaged_xmp",
    ),
    (
        "spared blocks with pictures in any coding",
        "spared.py",
        "(in_any_coding and in_any_coding.search(data))",
        "False",
        "damaged_xmp or photoshop",
    ),
    (
        "trailers are dropped",
        "jpeg_segments.py",
        'return replace(split_jpeg(picture), segments=kept, trailer=b"").to_bytes()',
        "return replace(split_jpeg(picture), segments=kept).to_bytes() + b'kept'",
        "blurred_photo",
    ),
    (
        "clean photos lose what nobody examined",
        "write.py",
        "    if not has_extras and not removed:\n        return facts.data, ()",
        "    return facts.data, ()",
        "clean_photo",
    ),
    ("a clean photo's thumbnail shows the photo", "write.py", "<= _MOST_DIFFERENCE)", "<= 1e9)", "EXIF"),
    (
        "thumbnail of the blurred pixels",
        "write.py",
        "thumbnail = make_thumbnail(stored)",
        "thumbnail = make_thumbnail(as_stored(photo.pixels, facts.orientation))",
        "blurred",
    ),
    (
        "pictures in PNG chunks",
        "metadata_png.py",
        "        if not kinds:\n            kept.append(chunk)",
        "        if True:\n            kept.append(chunk)",
        "png",
    ),
    ("the temporary file is private", "publish.py", "0o600)", "0o666)", "nobody_else"),
    (
        "the private folder is emptied",
        "private_folder.py",
        "            self._empty()\n",
        "            pass\n",
        "nobody_else",
    ),
]
HIDING = [
    (
        "hidden wholly up to the edge",
        "obfuscate/paint.py",
        "alpha = np.clip(1 - (_distance(quad, flat) - pixel) / feather, 0, 1",
        "alpha = np.clip(-_distance(quad, flat) / feather, 0, 1",
        "edge",
    ),
    ("the mask holds what is hidden", "obfuscate/paint.py", "mask[alpha >= 1] = level", "pass", "hidden_wholly"),
    ("an always-hidden zone wins", "pipeline.py", "kept, canvas, but=hidden)", "kept, canvas)", "zones"),
    (
        "boxes are grown",
        "pipeline.py",
        "region.quad.grown(settings.grow) for region in regions]\n    kept",
        "region.quad for region in regions]\n    kept",
        "hidden_wholly",
    ),
    (
        "every region is hidden",
        "pipeline.py",
        "for region in regions]\n    kept",
        "for region in regions[1:]]\n    kept",
        "hidden_wholly",
    ),
    ("the blur is wide enough", "obfuscate/obfuscator.py", "CELLS = 8.0", "CELLS = 40.0", "wide"),
    ("the blur is never too narrow", "obfuscate/obfuscator.py", "LEAST_SIGMA_PX = 2.5", "LEAST_SIGMA_PX = 0.6", "wide"),
]


def mutations() -> list[Mutation]:
    """Return them all."""
    in_photo = [(name, f"photo/{file}", *rest) for name, file, *rest in GUARD + CLEANING]
    return [Mutation(name, f"pii_blur/{file}", *rest) for name, file, *rest in in_photo + HIDING]


def copy_checkout(folder: Path) -> Path:
    """Copy the files that git knows or would take."""
    copy = folder / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file() and not name.endswith(".onnx"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def run_tests(copy: Path, tests: str) -> tuple[bool, str]:
    """Run some of tests/privacy, or all of them; return whether one failed, and which."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", "tests/privacy"]
    if tests:
        command += ["-k", tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False
    )
    # An error of a whole module says nothing; one of a fixture says that not even the good file is accepted.
    noticed = ("FAILED", "ERROR")
    failed = [line for line in done.stdout.splitlines() if line.startswith(noticed) and "::" in line]
    first = failed[0].split("::", 1)[-1].split(" - ")[0] if failed else ""
    return done.returncode == 1 and bool(failed), first or f"exit code {done.returncode}"


def main() -> None:
    """Print a table: protection, caught by which test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only protections whose name contains one of these")
    words = parser.parse_args().words
    chosen = [one for one in mutations() if not words or any(word in one.name for word in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_checkout(Path(folder))
        if run_tests(copy, "")[1] != "exit code 0":
            sys.exit("tests/privacy fails as it is; nothing can be told")
        for one in chosen:
            path = copy / one.file
            original = path.read_text(encoding="utf-8")
            if original.count(one.old) == 0:
                missed += 1
                print(f"{one.name:45} GONE    the text that protects is not in {one.file} any more", flush=True)
                continue
            path.write_text(original.replace(one.old, one.new), encoding="utf-8")
            started = time.perf_counter()
            is_caught, by = run_tests(copy, one.tests)
            if not is_caught:
                is_caught, by = run_tests(copy, "")
            path.write_text(original, encoding="utf-8")
            missed += not is_caught
            print(
                f"{one.name:45} {'caught' if is_caught else 'MISSED'}  {by}  ({time.perf_counter() - started:.0f} s)",
                flush=True,
            )
    print(f"{len(chosen) - missed} of {len(chosen)} protections are noticed when they are gone")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
