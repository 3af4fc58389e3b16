from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError

from .conftest import wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Wheel

    from .conftest import Index

    Resolve = Callable[..., dict[str, Wheel]]

pytestmark = pytest.mark.usefixtures("plain_machine")


def versions(wheels: dict[str, Wheel]) -> dict[str, str]:
    return {name: found.version for name, found in wheels.items()}


def test_a_wheel_is_pinned_with_what_it_requires(index: Index, resolve: Resolve) -> None:
    content = index.add(
        "app",
        "1.0",
        ["My_Lib>=1", "other[extra]", "never; sys_platform == 'win32'", "old; python_version < '3.9'"],
    )
    index.add("my-lib", "2.0", ["other"])
    index.add("other", "3.0", ["behind-extra; extra == 'extra'"])
    index.add("behind-extra", "4.0")
    found = resolve(index.line, "App >= 1")
    assert versions(found) == {"app": "1.0", "behind-extra": "4.0", "my-lib": "2.0", "other": "3.0"}
    assert {name: known.depends for name, known in found.items()} == {
        "app": ("my-lib", "other"),
        "behind-extra": (),
        "my-lib": ("other",),
        "other": ("behind-extra",),
    }
    artifact = found["app"].artifact
    assert artifact.filename == "app-1.0-py3-none-any.whl"
    assert artifact.url == f"{index.url}/files/app-1.0-py3-none-any.whl"
    assert (artifact.sha256, artifact.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_nothing_asked_is_nothing_found(resolve: Resolve) -> None:
    assert resolve() == {}


@pytest.mark.parametrize(
    ("python_version", "glibc", "expected"),
    [
        pytest.param("3.13.5", "2.41", "cp313-cp313-manylinux_2_28_x86_64", id="own-abi"),
        pytest.param("3.13.5", "2.27", "cp39-abi3-manylinux2014_x86_64", id="older-glibc"),
        pytest.param("3.11.2", "2.36", "cp39-abi3-manylinux2014_x86_64", id="stable-abi"),
        pytest.param("3.8.20", "2.41", "py3-none-any", id="pure"),
    ],
)
def test_the_best_wheel_for_the_image_is_chosen(
    index: Index, resolve: Resolve, python_version: str, glibc: str, expected: str
) -> None:
    for tags in (
        "py3-none-any",
        "cp313-cp313-manylinux_2_28_x86_64",
        "cp313-cp313-manylinux_2_28_aarch64",
        "cp313-cp313-musllinux_1_2_x86_64",
        "cp313-cp313t-manylinux_2_28_x86_64",
        "cp313-cp313-win_amd64",
        "cp39-abi3-manylinux2014_x86_64",
    ):
        index.add("lib", "1.0", tags=tags)
    found = resolve(index.line, "lib", python_version=python_version, glibc=glibc)
    assert found["lib"].artifact.filename == f"lib-1.0-{expected}.whl"


def test_a_local_version_is_unquoted_in_the_name(index: Index, resolve: Resolve) -> None:
    index.add("torch", "2.0.1+cu118", tags="cp311-cp311-linux_x86_64")
    found = resolve(index.line, "torch==2.0.1", python_version="3.11.2")
    assert found["torch"].version == "2.0.1+cu118"
    assert found["torch"].artifact.filename == "torch-2.0.1+cu118-cp311-cp311-linux_x86_64.whl"


@pytest.mark.parametrize("hashes", [pytest.param(True, id="with-hashes"), pytest.param(False, id="bare")])
def test_an_old_index_tells_less(index: Index, resolve: Resolve, hashes: bool) -> None:  # noqa: FBT001
    content = index.add("lib", "1.0+x")
    index.html, index.hashes = True, hashes
    artifact = resolve(index.line, "lib")["lib"].artifact
    assert (artifact.sha256, artifact.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_pins_are_kept_where_they_fit_and_moved_where_not(index: Index, resolve: Resolve) -> None:
    for version in ("1.0", "1.5", "2.0"):
        index.add("kept", version)
        index.add("moved", version)
        index.add("new", version)
    wanted = (index.line, "kept", "moved>=1.2", "new")
    assert versions(resolve(*wanted)) == {"kept": "2.0", "moved": "2.0", "new": "2.0"}
    pins = {"kept": "1.5", "moved": "1.0", "gone": "7", "new": "9.9"}
    assert versions(resolve(*wanted, pins=pins)) == {"kept": "1.5", "moved": "2.0", "new": "2.0"}


def test_a_date_limits_what_is_considered(index: Index, resolve: Resolve) -> None:
    index.add("lib", "1.0")
    index.add("lib", "2.0")
    index.uploaded["lib-2.0-py3-none-any.whl"] = "2024-01-01T00:00:00Z"
    assert versions(resolve(index.line, "lib", exclude_newer="2023-01-01T00:00:00Z")) == {"lib": "1.0"}
    with pytest.raises(LockError) as caught:
        resolve(index.line, "lib>1", exclude_newer="2023-01-01T00:00:00Z")
    assert "2023-01-01" in caught.value.hint


def test_all_indexes_are_alike(make_index: Callable[[], Index], resolve: Resolve) -> None:
    first, second = make_index(), make_index()
    first.add("lib", "1.0")
    second.add("lib", "2.0")
    assert versions(resolve(first.line, f"lib --extra-index-url={second.url}/simple")) == {"lib": "2.0"}


def test_prereleases_come_when_asked_for(index: Index, resolve: Resolve) -> None:
    index.add("lib", "1.0")
    index.add("lib", "2.0rc1")
    assert versions(resolve(index.line, "lib")) == {"lib": "1.0"}
    assert versions(resolve(index.line, "--pre", "lib")) == {"lib": "2.0rc1"}


def test_a_wheel_can_be_named_by_url_or_found_beside_the_project(
    index: Index, resolve: Resolve, project: Path
) -> None:
    content = index.add("direct", "1.0", ["beside"])
    (project / "wheels").mkdir()
    (project / "wheels" / "beside-1.0-py3-none-any.whl").write_bytes(wheel("beside", "1.0"))
    url = f"{index.url}/files/direct-1.0-py3-none-any.whl"
    found = resolve("--no-index", "--find-links wheels", url)
    artifact = found["direct"].artifact
    assert (artifact.url, artifact.size) == (url, len(content))
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert found["direct"].depends == ("beside",)
    assert found["direct"].origin == f"{url}#sha256={artifact.sha256}"
    assert found["beside"].artifact.url == "./wheels/beside-1.0-py3-none-any.whl"
    assert found["beside"].origin == ""


def test_credentials_of_an_index_reach_uv_but_not_the_lock(index: Index, resolve: Resolve) -> None:
    index.add("lib", "1.0")
    index.password = "hunter2"  # noqa: S105
    index.html = True
    line = index.line.replace("//", "//user:hunter2@")
    found = resolve(line, "lib")
    assert "hunter2" not in found["lib"].artifact.url
    assert found["lib"].artifact.url.startswith(index.url)
    with pytest.raises(LockError, match="refuses access") as caught:
        resolve(index.line.replace("//", "//user:wrong@"), "lib")
    assert "wrong" not in caught.value.shown()
    assert "netrc" in caught.value.hint


@pytest.fixture
def troubled(index: Index, project: Path) -> Index:
    index.add("app", "1.0", ["lib>=2"])
    index.add("lib", "1.0")
    index.add("lib", "2.0")
    index.add_source("source", "1.0")
    index.add("binary", "1.0", tags="cp310-cp310-manylinux_2_17_x86_64")
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\ndynamic = ['version']\n")
    return index


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        pytest.param(("app", "lib<2"), "app depend on lib>=2 and you require app", "Loosen", id="conflict"),
        pytest.param(("lib==7",), "there is no version of lib==7", "lib==2.0,", id="no-such-version"),
        pytest.param(("lib==1.5",), "there is no version of lib==1.5", "lib==2.0,", id="none-between"),
        pytest.param(("lib==0.5",), "there is no version of lib==0.5", "lib==1.0,", id="none-so-old"),
        pytest.param(("libb",), "libb was not found", "spelling of libb", id="no-such-name"),
        pytest.param(("source",), "cannot be read|not a source archive", "", id="broken-source"),
        pytest.param(("--only-binary=:all:", "source"), "no usable wheels", "has a wheel", id="no-wheel"),
        pytest.param(
            ("binary",), "cp310", "python_version: there are wheels for 3.10.", id="for-other-pythons"
        ),
        pytest.param(("lib ==",), "parse requirement in cog.yaml", "Fix", id="not-a-requirement"),
        pytest.param(("-r missing.txt",), "missing.txt", "Fix", id="missing-file"),
        pytest.param((".",), "is the folder|does not tell", "", id="a-source-tree"),
    ],
)
def test_what_cannot_be_satisfied_is_explained(
    troubled: Index, resolve: Resolve, lines: tuple[str, ...], message: str, hint: str
) -> None:
    with pytest.raises(LockError, match=message) as caught:
        resolve(troubled.line, *lines, asked_in="cog.yaml")
    assert "cog.yaml" in caught.value.message or not hint
    assert hint in caught.value.hint
    assert "error:" not in caught.value.message


@pytest.mark.parametrize("line", [True, False])
def test_a_dead_index_is_named(resolve: Resolve, plain_machine: pytest.MonkeyPatch, *, line: bool) -> None:
    url = "http://user:hunter2@127.0.0.1:9/simple"
    if not line:
        plain_machine.setenv("UV_DEFAULT_INDEX", url)
    with pytest.raises(LockError, match=r"index 127\.0\.0\.1:9 cannot be reached") as caught:
        resolve(*([f"--index-url {url}"] if line else []), "lib", asked_in="requirements.txt")
    advice = (
        "--index-url in requirements.txt names it" if line else "To use another index set UV_DEFAULT_INDEX"
    )
    assert advice in caught.value.hint
    assert "hunter2" not in caught.value.shown()


def test_an_old_c_library_has_no_wheels(resolve: Resolve) -> None:
    with pytest.raises(LockError, match=r"glibc 2\.12"):
        resolve("lib", glibc="2.12")
