from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edge_kit.build import output
from edge_kit.build.files import FileSum, SealedFile
from edge_kit.build.manifest import Manifest, ManifestError, check_bundle
from edge_kit.build.output import OutputError, Source, check_target, write_bundle
from model_opt import fs
from model_opt.errors import KitError
from model_opt.fs import folder_lock, sha256_bytes

OLD: dict[str, Source] = {"models/det.nb": b"old", "old.txt": b"only in the old one"}
NEW: dict[str, Source] = {"models/det.nb": b"new!", "models/rec.nb": b"new"}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def traces(folder: Path) -> list[tuple[str, int, int, int, int]]:
    """What a change of anything below ``folder`` would alter."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return [(str(p), s.st_mode, s.st_ino, s.st_size, s.st_mtime_ns) for p in paths for s in [p.lstat()]]


@pytest.fixture(params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of putting a new bundle in place of an old one."""
    if request.param == "two renames":
        monkeypatch.setattr(fs, "exchange", lambda one, other: False)


@pytest.mark.usefixtures("way")
def test_a_new_bundle_replaces_the_old_one_as_a_whole(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "build" / "arm64"
    first = write_bundle(target, OLD, manifest)
    assert first.changed
    assert first.folder == target
    second = write_bundle(target, NEW, manifest)
    assert second.changed
    found = contents(target)
    assert found.pop("manifest.json")
    assert found == NEW
    assert all(verdict.status == "ok" for verdict in check_bundle(target))
    assert names_in(target.parent) == ["arm64"]


def test_the_same_bundle_again_is_left_untouched(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    before = traces(target)
    assert not write_bundle(target, OLD, manifest).changed
    assert traces(target) == before


@pytest.mark.parametrize("damage", [b"OLD", b"", None])
def test_a_bundle_damaged_since_is_written_again(damage: bytes | None, tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    whole = contents(target)
    if damage is None:
        (target / "models/det.nb").unlink()
    else:
        (target / "models/det.nb").write_bytes(damage)
    assert write_bundle(target, OLD, manifest).changed
    assert contents(target) == whole


def test_two_folders_with_the_same_bundle_are_byte_identical(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "rec.nb").write_bytes(b"rec")
    one: dict[str, Source] = {"a": b"a", "rec.nb": tmp_path / "rec.nb"}
    two: dict[str, Source] = {"rec.nb": b"rec", "a": b"a"}
    write_bundle(tmp_path / "x" / "one", one, manifest)
    write_bundle(tmp_path / "two", two, manifest)
    assert contents(tmp_path / "x" / "one") == contents(tmp_path / "two")


def test_an_empty_folder_becomes_the_bundle(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "arm64").mkdir()
    write_bundle(tmp_path / "arm64", OLD, manifest)
    assert (tmp_path / "arm64/old.txt").is_file()


def test_a_link_to_a_folder_is_followed_and_stays(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "disk" / "arm64").symlink_to(tmp_path / "real")
    for files in (OLD, NEW):
        written = write_bundle(tmp_path / "disk" / "arm64", files, manifest)
        assert written.folder == tmp_path / "real"
    assert (tmp_path / "disk" / "arm64").is_symlink()
    assert (tmp_path / "real" / "models" / "rec.nb").read_bytes() == b"new"
    assert names_in(tmp_path) == ["disk", "real"]


def make_file(place: Path) -> Path:
    (place / "out").write_bytes(b"mine")
    return place / "out"


def make_dangling_link(place: Path) -> Path:
    (place / "out").symlink_to(place / "nowhere")
    return place / "out"


def make_link_loop(place: Path) -> Path:
    (place / "out").symlink_to(place / "out")
    return place / "out"


def make_link_to_file(place: Path) -> Path:
    (place / "file").write_bytes(b"mine")
    (place / "out").symlink_to(place / "file")
    return place / "out"


def make_under_file(place: Path) -> Path:
    (place / "file").write_bytes(b"mine")
    return place / "file" / "a" / "b"


def make_user_folder(place: Path) -> Path:
    (place / "photos" / "deep").mkdir(parents=True)
    (place / "photos" / "deep" / "1.jpg").write_bytes(b"mine")
    return place / "photos"


def make_folder_of_empty_folders(place: Path) -> Path:
    (place / "photos" / "deep").mkdir(parents=True)
    return place / "photos"


def make_web_app(place: Path) -> Path:
    (place / "web").mkdir()
    (place / "web" / "manifest.json").write_text('{"name": "app"}')
    return place / "web"


def make_long_name(place: Path) -> Path:
    return place / ("x" * 191)


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (make_file, "a file, not a folder"),
    (make_dangling_link, "a link that leads to no folder"),
    (make_link_loop, "cannot be followed|leads to no folder"),
    (make_link_to_file, "leads to no folder"),
    (make_under_file, "a parent of the output is not a folder"),
    (make_user_folder, "not empty and holds no bundle"),
    (make_folder_of_empty_folders, "not empty and holds no bundle"),
    (make_web_app, "not empty and holds no bundle"),
    (make_long_name, "longer than 190 bytes"),
    (lambda place: place / "zero\0byte", "zero byte"),
    (lambda place: Path(__file__).parents[3], "is or holds"),
    (lambda place: Path(output.__file__).parent, "is or holds the kit itself"),
    (lambda place: Path("/"), "is or holds the current folder"),
    (lambda place: Path.home(), "is or holds"),
]


@pytest.mark.parametrize(("make", "part"), REFUSED)
def test_a_place_that_is_no_bundle_is_refused_and_stays_as_it_is(
    make: Callable[[Path], Path], part: str, tmp_path: Path, manifest: Manifest
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    target = make(place)
    before = traces(place)
    with pytest.raises(OutputError, match=part) as caught:
        check_target(target)
    assert caught.value.hint
    with pytest.raises(OutputError, match=part):
        write_bundle(target, NEW, manifest)
    assert traces(place) == before


@pytest.mark.parametrize("spelling", [".", "", "..", "../place", "inner/.."])
def test_the_current_folder_and_those_above_it_are_refused(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    with pytest.raises(OutputError, match="is or holds the current folder"):
        write_bundle(Path(spelling), NEW, manifest)


def test_a_relative_output_lies_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_bundle(Path("build/arm64"), NEW, manifest).folder == tmp_path / "build/arm64"


def test_the_cache_is_refused_inside_and_out(own_cache: Path, manifest: Manifest) -> None:
    for place in (own_cache, own_cache / "stages" / "x"):
        with pytest.raises(OutputError, match="cache"):
            write_bundle(place, NEW, manifest)


def test_a_bundle_inside_a_bundle_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    write_bundle(tmp_path / "arm64", OLD, manifest)
    with pytest.raises(OutputError, match="lies in another bundle"):
        write_bundle(tmp_path / "arm64" / "models" / "x", NEW, manifest)


def test_the_users_own_files_in_an_old_bundle_are_never_deleted(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    (target / "models" / "notes.txt").write_bytes(b"mine")
    before = contents(target)
    with pytest.raises(OutputError, match=r"no build put there: 'models/notes\.txt'"):
        write_bundle(target, NEW, manifest)
    assert contents(target) == before


def test_a_file_the_user_adds_during_the_build_is_not_deleted_either(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    real = output._fill

    def fill_while_user_works(*given: object) -> None:
        (target / "notes.txt").write_bytes(b"mine")
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(output, "_fill", fill_while_user_works)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_bundle(target, NEW, manifest)
    assert (target / "notes.txt").read_bytes() == b"mine"
    assert (target / "old.txt").is_file()
    assert names_in(tmp_path) == ["arm64"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a//b", "", ".", "a\\b", "a\0b", "manifest.json"])
def test_names_that_leave_the_bundle_are_refused(name: str, tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(OutputError, match="a bundle cannot hold"):
        write_bundle(tmp_path / "x" / "arm64", {name: b""}, manifest)
    assert names_in(tmp_path) == []


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(OutputError, match="needs 'a' to be a folder"):
        write_bundle(tmp_path / "arm64", {"a": b"", "a/b/c": b""}, manifest)


def test_a_source_that_changed_since_it_was_made_never_ships(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    before = contents(target)
    (tmp_path / "det.nb").write_bytes(b"dAmaged")
    sealed = SealedFile(tmp_path / "det.nb", FileSum(sha256_bytes(b"damaged"), 7))
    with pytest.raises(OutputError, match=r"'det\.nb' is not the one that was built") as caught:
        write_bundle(target, {"det.nb": sealed}, manifest)
    assert caught.value.path == str(tmp_path / "det.nb")
    assert contents(target) == before
    assert names_in(tmp_path) == ["arm64", "det.nb"]


@pytest.mark.parametrize("sealed", [True, False])
def test_an_absent_source_is_an_error_naming_it(sealed: bool, tmp_path: Path, manifest: Manifest) -> None:
    path = tmp_path / "gone.nb"
    source = SealedFile(path, FileSum("0" * 64, 1)) if sealed else path
    with pytest.raises(OutputError, match=r"the file for 'det\.nb' cannot be read") as caught:
        write_bundle(tmp_path / "arm64", {"det.nb": source}, manifest)
    assert caught.value.path == str(path)
    assert names_in(tmp_path) == []


def test_a_manifest_that_cannot_be_written_touches_nothing(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match="path of this machine"):
        write_bundle(tmp_path / "x" / "arm64", NEW, replace(manifest, tools={"opt": "/usr/bin/opt"}))
    assert names_in(tmp_path) == []


def test_leftovers_of_killed_builds_are_cleaned_but_only_ours(tmp_path: Path, manifest: Manifest) -> None:
    ours = [".arm64.edge-kit-tmp-1-0123456789abcdef", ".arm64.edge-kit-old-99-0123456789abcdef"]
    others = [
        ".arm64.edge-kit-tmp-1-0123456789abcde",
        ".arm64-fp16.edge-kit-tmp-1-0123456789abcdef",
        ".xarm64.edge-kit-tmp-1-0123456789abcdef",
        ".arm64.tmp-1",
    ]
    write_bundle(tmp_path / "arm64", OLD, manifest)
    for name in ours + others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
    link = tmp_path / ".arm64.edge-kit-tmp-2-0123456789abcdef"
    link.symlink_to(tmp_path / ".arm64.tmp-1")
    write_bundle(tmp_path / "arm64", NEW, manifest)
    assert names_in(tmp_path) == sorted([*others, "arm64", link.name])
    assert (tmp_path / ".arm64.tmp-1" / "file").is_file()


def test_a_bundle_left_under_its_other_name_is_brought_back(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    old = tmp_path / ".arm64.edge-kit-old-1-0123456789abcdef"
    target.rename(old)
    assert not write_bundle(target, OLD, manifest).changed, "the old bundle must be back, so nothing changes"
    target.rename(old)
    with pytest.raises(OutputError):
        write_bundle(target, {"x": SealedFile(tmp_path / "gone", FileSum("0" * 64, 1))}, manifest)
    assert (target / "old.txt").read_bytes() == b"only in the old one"
    assert names_in(tmp_path) == ["arm64"]


@pytest.mark.usefixtures("way")
def test_two_builds_at_once_leave_one_whole_bundle(tmp_path: Path, manifest: Manifest) -> None:
    target = tmp_path / "arm64"
    versions: list[dict[str, Source]] = [{f"file{v}": bytes([v]) * 50_000, "both": bytes([v])} for v in range(4)]
    faults: list[BaseException] = []

    def write(files: dict[str, Source]) -> None:
        try:
            for _ in range(5):
                write_bundle(target, files, manifest)
        except KitError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(files,)) for files in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    found = contents(target)
    found.pop("manifest.json")
    assert found in versions
    assert all(verdict.status == "ok" for verdict in check_bundle(target))
    assert names_in(tmp_path) == ["arm64"]


def test_a_build_that_waits_too_long_for_another_says_so(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LOCK_SECONDS", 0.2)
    with folder_lock(tmp_path, lambda: None) as held:
        assert held
        with pytest.raises(OutputError, match="another build has been writing here"):
            write_bundle(tmp_path / "arm64", NEW, manifest)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("module", "moment"), [(output, "_fill"), (fs, "_swap"), (fs, "exchange"), (output, "check_bundle")]
)
@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(5, "Input/output error")])
def test_a_fault_at_any_step_keeps_the_old_bundle_and_cleans_up(
    module: ModuleType,
    moment: str,
    fault: BaseException | type[BaseException],
    tmp_path: Path,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    before = contents(target)

    def fail(*given: object) -> None:
        raise fault

    monkeypatch.setattr(module, moment, fail)
    with pytest.raises((KeyboardInterrupt, KitError)):
        write_bundle(target, NEW, manifest)
    assert contents(target) == before
    assert names_in(tmp_path) == ["arm64"]


def test_a_failing_second_rename_brings_the_old_bundle_back(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "arm64"
    write_bundle(target, OLD, manifest)
    before = contents(target)
    monkeypatch.setattr(fs, "exchange", lambda one, other: False)
    real = Path.rename

    def rename(self: Path, to: Path) -> Path:
        if "edge-kit-tmp" in self.name:
            raise OSError(5, "Input/output error")
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KitError, match="Input/output error"):
        write_bundle(target, NEW, manifest)
    assert contents(target) == before
    assert names_in(tmp_path) == ["arm64"]
