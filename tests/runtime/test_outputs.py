from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.media import decode_data_url, encode_data_url, extension_of, type_of
from cog_nix.runtime.outputs import choose_destination, json_text, text_of, write_file, write_files

FILE = {"type": "string", "format": "uri"}
FILES = {"type": "array", "items": FILE}


@pytest.mark.parametrize(
    ("output", "schema", "text"),
    [
        pytest.param("a <b>", {"type": "string"}, "a <b>", id="string-raw"),
        pytest.param(3, {"type": "integer"}, "3", id="integer"),
        pytest.param(3.0, {"type": "number"}, "3", id="whole-float-loses-its-fraction"),
        pytest.param(0.25, {"type": "number"}, "0.25", id="float"),
        pytest.param(1e-7, {"type": "number"}, "1e-7", id="tiny-float"),
        pytest.param(2.5e-5, {"type": "number"}, "0.000025", id="small-float"),
        pytest.param(1e21, {"type": "number"}, "1e+21", id="huge-float"),
        pytest.param([-0.0, 0.0, "-0.0"], {}, '[\n  -0,\n  0,\n  "-0.0"\n]', id="negative-zero"),
        pytest.param(12345678901234567890.0, {"type": "number"}, "12345678901234567000", id="large-float"),
        pytest.param(["1e-07", 1e-7], {}, '[\n  "1e-07",\n  1e-7\n]', id="text-that-looks-like-one"),
        pytest.param(True, {"type": "boolean"}, "true", id="boolean"),
        pytest.param(
            ["a", "b"], {"type": "array", "items": {"type": "string"}}, '[\n  "a",\n  "b"\n]', id="list"
        ),
        pytest.param([], {"type": "array", "items": {"type": "string"}}, "[]", id="empty-list"),
        pytest.param(
            {"b": 1, "a": "<é>"}, {"type": "object"}, '{\n  "a": "\\u003cé\\u003e",\n  "b": 1\n}', id="object"
        ),
        pytest.param("text", {}, '"text"', id="string-of-an-untyped-output-is-json"),
        pytest.param("data:,x", FILE, None, id="a-file-is-no-text"),
        pytest.param(["data:,x"], FILES, None, id="files-are-no-text"),
    ],
)
def test_text_on_stdout(output: Any, schema: dict[str, Any], text: str | None) -> None:
    assert text_of(output, schema) == text


def test_a_promised_string_that_is_none() -> None:
    with pytest.raises(RuntimeFailure, match="Failed to convert prediction output to string"):
        text_of(3, {"type": "string"})


@pytest.mark.parametrize(
    ("asked", "media_type", "name"),
    [
        pytest.param("output", "image/png", "output.png", id="extension-from-the-type"),
        pytest.param("output", "text/plain", "output.txt", id="text"),
        pytest.param("output", "application/x-unheard-of", "output", id="unknown-type"),
        pytest.param("cat.jpeg", "image/png", "cat.jpeg", id="the-users-extension-wins"),
        pytest.param("v1.2", "image/png", "v1.2.png", id="a-number-is-no-extension"),
        pytest.param("weights", "application/x-tar", "weights.tar", id="weights"),
        pytest.param("a.tar.gz", "image/png", "a.tar.gz", id="only-the-last-dot-counts"),
        pytest.param(".hidden", "image/png", ".hidden", id="a-first-dot-counts-too"),
    ],
)
def test_a_file_is_written(tmp_path: Path, asked: str, media_type: str, name: str) -> None:
    written: list[Path] = []
    url = encode_data_url(b"content", media_type)
    assert write_files(url, FILE, tmp_path / asked, written.append) == str(tmp_path / name)
    assert written == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("output", ["output.0.png", "output.1.gif"]),
        ("o.x", ["o.0.x", "o.1.x"]),
        ("a.tar.gz", ["a.tar.0.gz", "a.tar.1.gz"]),
        (".hid", [".0.hid", ".1.hid"]),
    ],
)
def test_files_of_a_list_are_numbered(tmp_path: Path, asked: str, names: list[str]) -> None:
    urls = [encode_data_url(b"0", "image/png"), encode_data_url(b"1", "image/gif")]
    result = write_files(urls, FILES, tmp_path / asked, lambda _path: None)
    assert result == [str(tmp_path / name) for name in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_other_outputs_pass_through(tmp_path: Path) -> None:
    assert write_files(
        {"a": 1}, {"type": "object"}, tmp_path / "output", lambda _path: pytest.fail("written")
    ) == {"a": 1}


@pytest.mark.parametrize(
    ("output", "schema", "message"),
    [
        ("https://example.org/a.png", FILE, "Failed to write output: Failed to split data URL into 2 parts"),
        (5, FILE, "Failed to convert prediction output to string: 5"),
        (["a", 1.5, None], FILE, "Failed to convert prediction output to string: [a 1.5 <nil>]"),
        ({"b": True, "a": 1}, FILES, "Failed to decode output: map[a:1 b:true]"),
        (
            ["data:,a", "x"],
            FILES,
            "Failed to write output 1: Failed to write output: Failed to split data URL into 2 parts",
        ),
        ([None], FILES, "Failed to write output 0: Failed to convert prediction output to string: <nil>"),
    ],
    ids=["no-data-url", "number", "list", "object", "second-of-a-list", "null-in-a-list"],
)
def test_what_cannot_be_written_is_told_in_upstreams_words(
    tmp_path: Path, output: Any, schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        write_files(output, schema, tmp_path / "output", lambda _path: None)
    assert caught.value.message == message


def test_an_existing_file_is_replaced_and_a_link_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a much longer old content")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_new_file_has_cogs_mode_and_one_that_was_there_its_own(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        write_file(new, b"new")
        write_file(old, b"new")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (new, old)] == [0o750, 0o640]


def test_a_file_in_a_folder_that_takes_no_other_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    inode = path.stat().st_ino
    monkeypatch.setattr(os, "access", lambda place, _mode: place != tmp_path)
    write_file(path, b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", inode)


def test_a_device_is_written_to_directly() -> None:
    write_file(Path("/dev/null"), b"new")
    reading, writing = os.pipe()
    write_file(Path(f"/dev/fd/{writing}"), b"new")
    assert os.read(reading, 10) == b"new"
    os.close(reading)
    os.close(writing)
    assert Path("/dev/null").is_char_device()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RuntimeFailure, match="Failed to write output"):
        write_file(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("given", "path", "asked"),
    [
        (None, "output", False),
        ("", "output", False),
        ("a.png", "a.png", True),
        ("@a.png", "a.png", True),
        ("sub", "sub/output", True),
    ],
)
def test_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, path: str, *, asked: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    destination = choose_destination(given)
    assert (destination.path, destination.asked) == (Path(path), asked)


def test_destinations_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeFailure, match="Output directory is not writable: gone"):
        choose_destination("gone/a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeFailure, match=r"checking output path: stat file/a.png: not a directory"):
        choose_destination("file/a.png")
    with pytest.raises(RuntimeFailure, match="cannot expand user-specific home dir"):
        choose_destination("~somebody/a.png")
    (tmp_path / "output").mkdir()
    with pytest.raises(RuntimeFailure, match="conflicts with directory, provide --output"):
        choose_destination(None)


@pytest.mark.parametrize(
    ("url", "content", "media_type"),
    [
        ("data:image/png;base64," + base64.b64encode(b"\xff").decode(), b"\xff", "image/png"),
        ("data:None;base64,YQ==", b"a", "text/plain"),
        ("data:text/html;charset=utf-8;base64,YQ==", b"a", "text/html"),
        ("data:,a%20b", b"a b", "text/plain"),
        ("data:image/png;base64,YQ==\n", b"a", "image/png"),
        ("data:foo;base64,YQ==", b"a", "text/plain"),
        ("something,YQ==", b"a", "text/plain"),
    ],
    ids=[
        "base64",
        "type-unknown-to-the-model",
        "with-parameters",
        "percent-encoded",
        "line-break",
        "no-type",
        "no-head",
    ],
)
def test_data_urls_are_read(url: str, content: bytes, media_type: str) -> None:
    assert decode_data_url(url) == (content, media_type)


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "data:image/png;base64", "data:;base64,@", "data:,%zz"]
)
def test_what_is_no_data_url(url: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="Failed to write output"):
        write_files(url, FILE, tmp_path / "output", lambda _path: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("image/jpeg", ".jpg"),
        ("image/webp", ".webp"),
        ("audio/wav", ".wav"),
        ("audio/mpeg", ".mp3"),
        ("video/mp4", ".mp4"),
        ("application/zip", ".zip"),
        ("application/json", ".json"),
        ("text/csv", ".csv"),
        ("model/gltf-binary", ".glb"),
        ("application/octet-stream", ".bin"),
        ("application/vnd.apple.installer+xml", ".mpkg"),
        ("application/x-bzip", ".bz"),
        ("image/bmp", ".bmp"),
        ("text/plain; charset=utf-8", ".txt"),
        ("audio/flac", ".flac"),
        ("image/jxl", ".jxl"),
        ("model/gltf+json", ".gltf"),
        ("video/x-matroska", ".mkv"),
    ],
)
def test_extensions(media_type: str, extension: str) -> None:
    assert extension_of(media_type) == extension
    assert type_of("x" + extension) == media_type.partition(";")[0]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.ogg", "audio/ogg"), ("a.M4A", "audio/mp4"), ("a.m4v", "video/mp4"), ("a.yml", "application/x-yaml")],
)
def test_types_that_have_another_extension_as_well(name: str, media_type: str) -> None:
    assert type_of(name) == media_type


def test_json_keeps_the_order_of_an_answer_and_the_precision_of_integers() -> None:
    assert json_text({"b": 2**63, "a": [1.5]}) == f'{{\n  "b": {2**63},\n  "a": [\n    1.5\n  ]\n}}'
