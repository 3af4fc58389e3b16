"""The commands, from a project to what other tools make of the result."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import app
from cog_nix.errors import CogNixError, ConfigError, ImageError
from cog_nix.image import archives
from cog_nix.registry import credentials, replicate
from cog_nix.report import SilentReporter
from conftest import copy_project
from tests.hooks.docker.described import DescribedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.report import Bar

ROOT = Path(__file__).resolve().parents[2]


class Cli:
    """The command line in a copy of hello-world."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def __call__(
        self, *arguments: str, check: bool = True, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
        ran = subprocess.run(
            [sys.executable, "-m", "cog_nix", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": paths, **self.environment},
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or ran.returncode == 0, ran.stderr
        return ran

    def edit(self, note: str) -> None:
        """Add a comment to the source."""
        with (self.folder / "run.py").open("a") as source:
            source.write(f"# {note}\n")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = copy_project(ROOT / "examples/hello-world", tmp_path_factory.mktemp("project") / "hello-world")
    made = Cli(folder)
    made.environment["DOCKER_CONFIG"] = str(folder.parent / "docker")
    return made


def _docker(*arguments: str) -> str:
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture
def removed() -> Iterator[list[str]]:
    """Yield a list of images that Docker forgets afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        subprocess.run(["docker", "rmi", "--force", name], check=False, capture_output=True)


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_pushed_pulled_and_run(cli: Cli, registry: str, removed: list[str]) -> None:
    target = f"{registry}/me/hello:v1"
    removed.append(target)
    ran = cli("push", target, "--json")
    document = json.loads(ran.stdout)
    assert list(document) == ["version", "image"]
    assert document["version"] == 1
    assert re.fullmatch(rf"{registry}/me/hello@sha256:[0-9a-f]{{64}}", document["image"])
    assert f"Pushing to {target}..." in ran.stderr
    assert document["image"] not in ran.stderr, "it is on stdout alone"
    # What another test brought into the registry may be mounted.
    told = r"^Uploaded (\d+) of (\d+) blobs \([^)]*\)(?:, mounted (\d+))?"
    found = re.search(told, ran.stderr, re.MULTILINE)
    assert found, ran.stderr
    assert int(found[1]) + int(found[3] or 0) == int(found[2])
    removed.append(document["image"])
    _docker("pull", "--quiet", target)
    inspected = json.loads(subprocess.check_output([cli.folder / "result", "--inspect"]))
    assert _docker("image", "inspect", "--format", "{{.Id}}", target) == inspected["id"]
    assert cli("predict", target, "-i", "text=Ada").stdout == "hello Ada\n"


@pytest.mark.nix
@pytest.mark.network
def test_an_edit_uploads_one_small_layer(cli: Cli, registry: str) -> None:
    target = f"{registry}/me/edited:v1"
    cli("push", target)
    again = cli("push", target)
    assert re.search(r"^Uploaded 0 of \d+ blobs \(0 B\), skipped", again.stderr, re.MULTILINE)
    assert again.stdout == ""
    cli.edit("changed")
    ran = cli("push", target)
    found = re.search(r"^Uploaded 2 of \d+ blobs \(([\d.]+) kB\), skipped", ran.stderr, re.MULTILINE)
    assert found, ran.stderr
    assert float(found[1]) < 100


@pytest.mark.nix
@pytest.mark.network
def test_with_what_login_kept(cli: Cli, locked_registry: str) -> None:
    target = f"{locked_registry}/me/hello:v1"
    refused = cli("push", target, check=False)
    assert refused.returncode == 1
    assert "failed to push image: authorization failed: " in refused.stderr
    assert f"Log in with: cog-nix login {locked_registry}" in refused.stderr
    ran = cli("login", locked_registry, said="ali\nopen sesame\n")
    assert f"Login succeeded for {locked_registry}" in ran.stderr
    assert "open sesame" not in ran.stdout + ran.stderr
    assert "@sha256:" in cli("push", target).stderr


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
@pytest.mark.parametrize(
    ("kind", "name"),
    [("", "image.tar"), ("oci:", "layout"), ("oci-archive:", "layout.tar")],
    ids=["image.tar", "oci:layout", "oci-archive:layout.tar"],
)
def test_written_and_loaded(cli: Cli, kind: str, name: str, removed: list[str]) -> None:
    tag = "cog-nix-test-archive:files"  # one for all kinds, so that the image is built once
    removed.append(tag)
    (cli.folder / ".dockerignore").write_text("written\n")
    path = cli.folder / "written" / name  # ignored, so that it is no part of the next image
    path.parent.mkdir(exist_ok=True)
    cli("build", "-o", f"{kind}{path}", "-t", tag)
    first = json.loads(subprocess.check_output([cli.folder / "result", "--inspect"]))
    cli("build", "-o", f"{kind}written/{name}", "-t", tag)
    cli("load", str(path), "-t", tag)
    inspected = json.loads(subprocess.check_output([cli.folder / "result", "--inspect"]))
    assert inspected["id"] == first["id"]
    assert _docker("image", "inspect", "--format", "{{.Id}}", tag) == inspected["id"]
    written = f"{kind or 'docker-archive:'}{path}"
    found = json.loads(subprocess.check_output(["skopeo", "inspect", "--config", written]))
    assert found == inspected["config"]


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_loaded_from_result_and_from_stdin(cli: Cli, removed: list[str]) -> None:
    cli("build", "--no-load", "-t", "cog-nix-test-load:own")
    removed += ["cog-nix-test-load:own", "cog-nix-test-load:stdin"]
    assert "Loaded cog-nix-test-load:own" in cli("load").stderr
    saved = subprocess.check_output([cli.folder / "result", "--tag", "cog-nix-test-load:stdin"])
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    ran = subprocess.run(
        [sys.executable, "-m", "cog_nix", "load", "-"],
        input=saved,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert ran.returncode == 0, ran.stderr
    assert b"Loaded cog-nix-test-load:stdin" in ran.stderr
    assert _docker("image", "inspect", "--format", "{{.Id}}", "cog-nix-test-load:stdin")


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("image.tar", "docker-archive", "image.tar"),
        ("docker-archive:a:b.tar", "docker-archive", "a:b.tar"),
        ("oci:folder", "oci", "folder"),
        ("oci-archive:a.tar", "oci-archive", "a.tar"),
    ],
)
def test_outputs(text: str, kind: str, name: str) -> None:
    found = archives.Output.parse(text)
    assert (found.kind, found.path.name) == (kind, name)


@pytest.mark.parametrize("text", ["", "oci:"])
def test_an_output_without_a_name(text: str) -> None:
    with pytest.raises(ConfigError, match="names no file"):
        archives.Output.parse(text)


@pytest.fixture
def layout(make_layout: Callable[..., Path]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    return make_layout(buffer.getvalue())


def test_a_folder_with_something_else_is_left_alone(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    with pytest.raises(ImageError, match="something other than an OCI layout"):
        archives.write(archives.Output("oci", tmp_path / "mine"), Path("/none"), layout, [], SilentReporter())
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_layout_in_a_tar_is_the_same_each_time(layout: Path, tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        archives.write(
            archives.Output("oci-archive", tmp_path / name), Path("/none"), layout, [], SilentReporter()
        )
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert {"oci-layout", "index.json"} < set(tar.getnames())


def test_a_layout_alone_becomes_a_docker_archive(layout: Path, tmp_path: Path) -> None:
    written = archives.Output("docker-archive", tmp_path / "image.tar")
    archives.write(written, None, layout, ["me:v1"], SilentReporter())
    with tarfile.open(tmp_path / "image.tar") as tar, tar.extractfile("manifest.json") as listed:  # type: ignore[union-attr]
        assert json.load(listed)[0]["RepoTags"] == ["me:v1"]


def test_an_archive_that_breaks_off_replaces_nothing(tmp_path: Path) -> None:
    built = DescribedStore(tmp_path / "store").build({"a": b"a"}, {"b": os.urandom(9_000_000)})
    with next((tmp_path / "store").glob("*-layer11/files.tar")).open("r+b") as stream:
        stream.truncate(1_000_000)
    (tmp_path / "image.tar").write_text("before")
    with pytest.raises(ImageError, match="is shorter than it was when it was built"):
        archives.write(
            archives.Output("docker-archive", tmp_path / "image.tar"), built.path, None, [], SilentReporter()
        )
    assert (tmp_path / "image.tar").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"store", "image.tar"}


class _Bars(SilentReporter):
    """Remembers what bars were told."""

    def __init__(self) -> None:
        self.told: list[list[Any]] = []

    @contextmanager
    def bytes_bar(self, text: str, total: int | None) -> Iterator[Bar]:
        self.told.append([text, total, 0])
        yield self

    def advance(self, amount: int) -> None:
        self.told[-1][2] += amount

    def describe(self, text: str) -> None: ...

    def expect(self, total: int) -> None: ...


@pytest.mark.parametrize("kind", archives.KINDS)
def test_a_bar_counts_all_that_is_written(layout: Path, tmp_path: Path, kind: archives.Kind) -> None:
    built = DescribedStore(tmp_path / "store").build({"a": b"a"}, {"b": os.urandom(9_000_000)})
    bars, target = _Bars(), tmp_path / "written"
    archives.write(archives.Output(kind, target), built.path, layout, ["a:b"], bars)
    ((text, total, counted),) = bars.told
    assert (text, counted) == ("Writing written", total)
    if kind == "docker-archive":
        assert total == target.stat().st_size
    else:
        assert total == sum(path.stat().st_size for path in layout.rglob("*") if path.is_file())


def test_an_archive_is_what_the_image_writes(tmp_path: Path) -> None:
    built = DescribedStore(tmp_path / "store").build({"a": b"a"}, {"b": os.urandom(9_000_000)})
    archives.write(
        archives.Output("docker-archive", tmp_path / "image.tar"), built.path, None, ["a:b"], SilentReporter()
    )

    def members(data: bytes) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]

    written, expected = (
        members(one)
        for one in (
            (tmp_path / "image.tar").read_bytes(),
            subprocess.check_output([built.path, "--tag", "a:b"]),
        )
    )
    assert json.loads(written.pop("manifest.json")) == json.loads(expected.pop("manifest.json"))
    assert written == expected


@pytest.mark.parametrize("content", [b"", b"no archive", b"\xff" * 600], ids=["empty", "text", "bytes"])
def test_what_is_no_image_is_not_loaded(tmp_path: Path, content: bytes) -> None:
    from cog_nix.image import archive_program  # noqa: PLC0415 - only here

    (tmp_path / "file").write_bytes(content)
    with (
        pytest.raises(ImageError, match="neither an image that cog-nix built") as caught,
        archive_program.opened(tmp_path / "file"),
    ):
        pass
    assert caught.value.hint


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty project, with an empty configuration of Docker."""
    (tmp_path / "cog.yaml").write_text('build:\n  python_version: "3.13"\nrun: run.py:Runner\n')
    (tmp_path / "run.py").write_text("class Runner: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("COG_MODEL", "COG_MODEL_REPO", "COG_MODEL_TAG", "COG_MODEL_REGISTRY", "COG_REGISTRY_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["push"], "To push images, you must either set the 'image' option in cog.yaml"),
        (
            [
                "push",
                "--no-cache",
                "--separate-weights=true",
                "--secret",
                "id=a,env=HOME",
                "--progress=plain",
                "--strip=false",
                "--precompile",
                "--use-cog-base-image=false",
                "--use-cuda-base-image",
                "auto",
            ],
            "To push images, you must either set the 'image' option in cog.yaml",
        ),
        (["push", "UPPER/Case"], 'invalid image reference "UPPER/Case"'),
        (["push", "--json", f"me/model@sha256:{'0' * 64}"], "use a tag instead"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_wrong_destination_is_told_before_anything_is_built(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(arguments) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert "Building" not in said.err
    assert said.out == ""


def _ask(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    """Stand in for Replicate's website."""
    monkeypatch.setattr(replicate, "token_page", lambda base: f"{base}/page")
    monkeypatch.setattr(replicate, "username", lambda _base, token: answers[token])


def test_a_replicate_token_from_stdin(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ask(monkeypatch, {"tr0ub4dor": "ali"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("tr0ub4dor\n"))
    assert app.run(["login", "--token-stdin"]) == 0
    said = capsys.readouterr()
    assert "You've successfully authenticated as ali! You can now use the r8.im registry." in said.err
    assert "tr0ub4dor" not in said.out + said.err
    found = credentials.find("r8.im", {"DOCKER_CONFIG": str(here / "docker")})
    assert (found.username, found.password) == ("ali", "tr0ub4dor")


@pytest.mark.parametrize(
    ("token", "words"), [("r8_abc", "looks like a Replicate API token"), (" ", "token is empty")]
)
@pytest.mark.usefixtures("here")
def test_no_replicate_token(
    token: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    assert app.run(["login", "--token-stdin"]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "words"), [("\n", "username cannot be empty"), ("ali\n\n", "password cannot be empty")]
)
@pytest.mark.usefixtures("here")
def test_half_a_login(
    said: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    assert app.run(["login", "registry.example.org"]) == 1
    assert words in capsys.readouterr().err


def test_replicates_own_endpoints(faulty: Any) -> None:
    """The paths and forms are upstream's; a server that knows none of them is not Replicate's."""
    base = f"http://{faulty.host}"
    with pytest.raises(CogNixError, match="is not the Replicate registry"):
        replicate.token_page(base)
    with pytest.raises(CogNixError, match="user does not exist"):
        replicate.username(base, "token")
    assert faulty.log == ["GET /cog/v1/display-token-url", "POST /cog/v1/verify-token"]
