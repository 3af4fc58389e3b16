"""From a python_version to an archive, through the real uv and a loopback mirror."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Settings
from cog_nix.errors import FetchError, LockError
from cog_nix.lock.model import Artifact, Interpreter
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks import standalone
from cog_nix_hooks.standalone import uv
from cog_nix_hooks.standalone.choice import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .conftest import Mirror

    ContextFor = Callable[..., Context]

_CONTENT = b"an archive"
_PINNED = Interpreter(
    "standalone",
    "3.12.1",
    "/usr/local/bin/python3.12",
    Artifact("cpython.tar.gz", "https://mirror.example.org/cpython.tar.gz", "c0", 9),
)


class _NoFetcher:
    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        raise AssertionError(wanted)

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        raise AssertionError(url, max_age)


@pytest.fixture
def deaf() -> Context:
    """Return a context that cannot fetch."""
    return Context(Settings(), _NoFetcher(), SilentReporter(), Path("/nonexistent"))  # type: ignore[arg-type]


@pytest.fixture
def known(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """Return a mirror whose builds are all that uv knows."""
    mirror.add("3.12.1", _CONTENT)
    mirror.add("3.12.9", b"a newer archive")
    monkeypatch.setenv(*next(iter(mirror.environment.items())))
    return mirror


def test_the_archive_is_fetched_and_named_by_its_hash(known: Mirror, context_for: ContextFor) -> None:
    context = context_for()
    choice = standalone.provide_interpreter("3.12.1", None, context)
    assert choice is not None
    name = "cpython-3.12.1-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    sha256 = hashlib.sha256(_CONTENT).hexdigest()
    assert choice.artifact == Artifact(name, f"{known.url}/{name}", sha256, len(_CONTENT))
    assert (choice.kind, choice.version, choice.suite) == ("standalone", "3.12.1", "trixie")
    assert choice.executable == "/usr/local/bin/python3.12"
    assert choice.packages == ("media-types", "libcrypt1")
    assert context.fetcher.artifacts([choice.artifact])[sha256].read_bytes() == _CONTENT


def test_a_minor_version_is_the_newest(known: Mirror, context_for: ContextFor) -> None:
    choice = standalone.provide_interpreter("3.12", None, context_for())
    assert choice is not None
    assert choice.version == "3.12.9"
    assert known.listed


@pytest.mark.parametrize("wanted", ["3.12", "3.12.1"])
def test_what_is_pinned_stays_and_nobody_is_asked(deaf: Context, wanted: str) -> None:
    choice = standalone.provide_interpreter(wanted, _PINNED, deaf)
    assert choice is not None
    assert (choice.version, choice.artifact) == ("3.12.1", _PINNED.artifact)


@pytest.mark.parametrize(
    "pinned",
    [
        pytest.param(Interpreter("debian", "3.12.1", "/usr/bin/python3.12"), id="of-debian"),
        pytest.param(
            Interpreter("standalone", "3.11.1", "/usr/local/bin/python3.11", _PINNED.artifact), id="other"
        ),
    ],
)
def test_what_is_pinned_and_does_not_fit_is_not_kept(
    known: Mirror, context_for: ContextFor, pinned: Interpreter
) -> None:
    choice = standalone.provide_interpreter("3.12", pinned, context_for())
    assert choice is not None
    assert choice.version == "3.12.9"
    assert known.listed


@pytest.mark.parametrize("wanted", ["3", "4.0", "3.12-slim", "3.12.*", "pypy3.12", "3.12.1.2", ""])
def test_what_is_no_version_of_cpython_is_left_to_others(deaf: Context, wanted: str) -> None:
    assert standalone.provide_interpreter(wanted, None, deaf) is None


def test_an_unknown_version_is_refused_with_the_nearest(known: Mirror, context_for: ContextFor) -> None:
    with pytest.raises(LockError) as caught:
        standalone.provide_interpreter("3.12.7", None, context_for())
    assert "There is no Python 3.12.7" in caught.value.message
    assert f"uv {metadata.version('uv')}" in caught.value.message
    assert "Near it are 3.12.9, 3.12.1." in caught.value.hint
    assert "pip install --upgrade uv" in caught.value.hint
    assert known.listed


def test_builds_of_other_kinds_are_not_taken(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, context_for: ContextFor
) -> None:
    mirror.add("3.12.1", b"", variant="freethreaded")
    mirror.add("3.12.2", b"", libc="musl")
    mirror.add("3.12.3", b"", arch={"family": "aarch64", "variant": None})
    mirror.add("3.12.4", b"", name="pypy")
    mirror.add("3.12.5", b"", url=f"{mirror.url}/cpython-full.tar.zst")
    monkeypatch.setenv(*next(iter(mirror.environment.items())))
    with pytest.raises(LockError, match=r"There is no Python 3\.12 ") as caught:
        standalone.provide_interpreter("3.12", None, context_for())
    assert "Near it are none" in caught.value.hint


def test_where_nothing_can_be_reached_the_message_says_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, context_for: ContextFor, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "nothing here").as_uri())
    with pytest.raises(LockError) as caught:
        standalone.provide_interpreter("3.12.1", None, context_for())
    assert caught.value.message.startswith("Python 3.12.1 cannot be downloaded: ")
    assert "cpython-3.12.1" in caught.value.message
    for part in ("[python] in cog-nix.toml", "UV_PYTHON_INSTALL_MIRROR", "file://"):
        assert part in caught.value.hint


def test_uv_tells_the_hash_that_it_expects_of_a_build() -> None:
    env = uv.environment(os.environ, None)
    builds = uv.builds(env)
    hashes = set()
    for version in ("3.10.13", "3.12.1", "3.14.0"):
        build = choose(builds, version)
        assert build is not None
        sha256 = uv.known_sha256(build, env)
        assert sha256 is not None
        assert re.fullmatch(r"[0-9a-f]{64}", sha256)
        hashes.add(sha256)
    assert len(hashes) == 3


@pytest.mark.parametrize("by", ["settings", "environment"])
def test_a_mirror_that_holds_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, context_for: ContextFor, tmp_path: Path, by: str
) -> None:
    """The hash that counts is the one that came with uv, not what a mirror happens to have."""
    mirror = (tmp_path / "mirror").as_uri()
    env = uv.environment({**os.environ, "UV_PYTHON_INSTALL_MIRROR": mirror}, None)
    build = choose(uv.builds(env), "3.12.1")
    assert build is not None
    assert build.url.startswith(mirror)
    path = tmp_path / "mirror" / "/".join(build.url.split("/")[-2:]).replace("%2B", "+")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    if by == "environment":
        monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", mirror)
    with pytest.raises(LockError) as caught:
        standalone.provide_interpreter("3.12.1", None, context_for(mirror if by == "settings" else None))
    assert isinstance(caught.value.__cause__, FetchError)
    assert "sha256" in caught.value.message
    assert str(uv.known_sha256(build, env)) in caught.value.message


def test_a_lock_whose_archive_was_replaced_is_refused(known: Mirror, context_for: ContextFor) -> None:
    choice = standalone.provide_interpreter("3.12.1", None, context_for())
    assert choice is not None
    assert choice.artifact is not None
    subprocess.run(["rm", "-r", context_for().cache_dir], check=True)
    (known.folder / choice.artifact.filename).write_bytes(b"something!")
    with pytest.raises(FetchError, match="sha256"):
        context_for().fetcher.artifacts([choice.artifact])


def test_credentials_of_a_mirror_stay_out_of_the_lock(known: Mirror, context_for: ContextFor) -> None:
    known.listed["cpython-3.12.9-linux-x86_64-gnu"]["url"] = ""
    url = known.url.replace("://", "://user:secret@")
    known.add(
        "3.12.10", b"x", url=f"{url}/cpython-3.12.9-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    )
    del known.listed["cpython-3.12.9-linux-x86_64-gnu"]
    known.add("3.12.1", _CONTENT)
    choice = standalone.provide_interpreter("3.12", None, context_for())
    assert choice is not None
    assert choice.artifact is not None
    assert "secret" not in repr(choice)
    assert choice.artifact.url.startswith(known.url)


def test_debian_comes_first() -> None:
    names = [name for name, _ in plugins.load({"COG_NIX_PLUGINS": "0"}).manager.list_name_plugin()]
    # pluggy asks the one that was registered last first.
    assert names.index("cog_nix_hooks.debian") > names.index("cog_nix_hooks.standalone")
