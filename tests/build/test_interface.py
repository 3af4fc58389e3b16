"""A model's interface: from the source or from a file, and which error comes first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix import signature
from cog_nix.build.interface import read_api
from cog_nix.config.model import Build, Config, Project
from cog_nix.errors import CogNixError, ConfigError
from cog_nix.signature.openapi_file import read_document
from cog_nix.signature.project import Project as Source

if TYPE_CHECKING:
    from pathlib import Path

ASYNC = "import cog\nclass P:\n    @cog.concurrent(max=3)\n    async def run(self) -> str: ...\n"
GOOD = "class P:\n    def run(self, text: str) -> str: ...\n"
UNREADABLE = "class P:\n    def run(self, text): ...\n"
DOCUMENT = '{"openapi": "3.0.2", "info": {"title": "Cog", "version": "1"}, "paths": {}}\n'


def project(root: Path, source: str) -> Project:
    (root / "run.py").write_text(source)
    return Project(root, root / "cog.yaml")


def config(*, concurrency: int | None = None, **build: str) -> Config:
    return Config(build=Build(**build), predict="run.py:P", concurrency_max=concurrency)  # type: ignore[arg-type]


def test_the_source_is_parsed_once_for_any_number_of_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    entry = Source.entry

    def counted(self: Source, path: str) -> object:
        read.append(path)
        return entry(self, path)

    monkeypatch.setattr(Source, "entry", counted)
    api = read_api(project(tmp_path, GOOD), config())
    versions = [json.loads(api.document(version))["info"]["version"] for version in ("1", "2")]
    assert (versions, read) == (["1", "2"], ["run.py"])


def test_a_document_that_is_handed_in_is_kept_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_bytes(DOCUMENT.encode() + b"\r\n ")
    api = read_api(project(tmp_path, GOOD), config(), tmp_path / "o.json")
    assert api.handed_in == api.document("0.23.1") == DOCUMENT + "\r\n "


def test_with_a_document_the_source_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text(DOCUMENT)
    read_api(project(tmp_path, "this is no Python"), config(concurrency=4), tmp_path / "o.json")


@pytest.mark.parametrize("handed_in", [False, True], ids=["source", "document"])
@pytest.mark.parametrize(
    ("source", "wanted", "said"),
    [
        (GOOD, config(concurrency=2), "concurrency.max > 1 requires an async run() or predict() method"),
        (ASYNC, config(python_version="3.10"), "concurrency requires Python 3.11 or higher"),
        (GOOD, config(sdk_version="0.1.0"), "below the minimum required version"),
        (GOOD, config(concurrency=2, sdk_version="0.1.0"), "below the minimum required version"),
    ],
    ids=["not-async", "old-python", "old-sdk", "old-sdk-comes-first"],
)
def test_what_does_not_go_together(
    tmp_path: Path,
    source: str,
    wanted: Config,
    said: str,
    handed_in: bool,  # noqa: FBT001 - a parameter
) -> None:
    (tmp_path / "o.json").write_text(DOCUMENT)
    with pytest.raises(ConfigError) as caught:
        read_api(project(tmp_path, source), wanted, tmp_path / "o.json" if handed_in else None)
    assert said in caught.value.shown()


def test_what_json_cannot_hold_is_found_at_once(tmp_path: Path) -> None:
    source = "from cog import Input\nclass P:\n    def run(self, x: float = Input(le=inf)) -> str: ...\n"
    with pytest.raises(signature.SignatureError, match=r"^run\.py:3: json: unsupported value: \+Inf"):
        read_api(project(tmp_path, source), config())


def test_the_source_comes_before_concurrency(tmp_path: Path) -> None:
    with pytest.raises(CogNixError, match="missing return type annotation"):
        read_api(project(tmp_path, UNREADABLE), config(concurrency=2))


def test_the_document_comes_before_concurrency(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text("{")
    with pytest.raises(ConfigError, match="Failed to load model schema JSON"):
        read_api(project(tmp_path, GOOD), config(concurrency=2), tmp_path / "o.json")


def test_a_real_document_is_accepted(tmp_path: Path) -> None:
    text = read_api(project(tmp_path, GOOD), config()).document("0.23.1")
    (tmp_path / "o.json").write_text(text)
    assert read_document(tmp_path / "o.json") == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Failed to load model schema JSON"),
        ("[]", "it must be a JSON object"),
        ("{}", '"openapi" must name a version'),
        ('{"openapi": "2.0"}', '"openapi" must name a version'),
        ('{"openapi": "3.0.2", "info": {"title": "x"}}', '"info.version" must be a text'),
        (DOCUMENT.replace("{}", "[]"), '"paths" must be an object'),
        (DOCUMENT.replace("{}", '{"a": {}}'), 'the path "a" must begin with /'),
        (DOCUMENT.replace("{}", '{"/a": {"get": {}}}'), '"get /a" must have "responses"'),
        (
            DOCUMENT.replace("{}", '{"/a": {"$ref": "#/components/x"}}'),
            '"#/components/x" refers to something',
        ),
        ("[" * 100_000, "Failed to load model schema JSON"),
    ],
)
def test_what_is_no_document(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "o.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "o.json")
    assert said in caught.value.shown()
    assert "cog-nix schema >" in caught.value.hint


def test_all_that_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "o.json")
    assert caught.value.message.count("must be") == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Failed to read schema file"):
        read_document(tmp_path / "o.json")
