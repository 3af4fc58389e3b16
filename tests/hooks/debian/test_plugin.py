from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pluggy
import pytest

from cog_nix.errors import FetchError, LockError
from cog_nix.plugins.spec import PROJECT_NAME, Spec, SystemRequest
from cog_nix_hooks import debian

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import Context, SystemResolution

    from .conftest import TinyArchive

    ContextFor = Callable[..., Context]

STANZAS = """
Package: bash
Essential: yes
Depends: libc6

Package: libc6

Package: ca-certificates
Architecture: all

Package: netbase

Package: tini
Version: 0.19.0-3+b8

Package: tzdata

Package: python3.13
Version: 3.13.5-2
Depends: python3.13-minimal (= 3.13.5-2), libpython3.13-stdlib

Package: python3.13-minimal
Version: 3.13.5-2
Pre-Depends: libc6

Package: libpython3.13-minimal
Version: 3.13.5-2

Package: libpython3.13-stdlib
Version: 3.13.5-2

Package: libgl1
Version: 1:1.7~rc1-1
Depends: libc6, libglx0 | libglx

Package: libglx-mesa0
Provides: libglx0
"""


def resolve(
    context: Context, *groups: tuple[str, tuple[str, ...]], **more: dict[str, str]
) -> SystemResolution:
    found = debian.resolve_system_packages(SystemRequest("trixie", groups, **more), context)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_each_group_lists_what_it_adds(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all(STANZAS, security="Package: libc6\nVersion: 1.1")
    context = context_for(archive.url)
    found = resolve(context, ("base", ()), ("python", ("python3.13",)), ("system", ("libgl1-mesa-glx",)))
    assert {label: [deb.package for deb in debs] for label, debs in found.groups.items()} == {
        "base": ["bash", "ca-certificates", "libc6", "netbase", "tini", "tzdata"],
        "python": ["libpython3.13-stdlib", "python3.13", "python3.13-minimal"],
        "system": ["libgl1", "libglx-mesa0"],
    }
    libgl1 = found.groups["system"][0]
    assert libgl1.depends == ("libc6", "libglx-mesa0")
    assert libgl1.artifact.filename == "libgl1_1.7~rc1-1_amd64.deb"
    assert libgl1.artifact.url == f"{archive.url}/pool/main/l/libgl1/libgl1_1.7~rc1-1_amd64.deb"
    libc6 = found.groups["base"][2]
    assert (libc6.version, libc6.artifact.url.partition("/pool/")[0]) == ("1.1", f"{archive.url}-security")
    tini = found.groups["base"][4]
    assert tini.artifact.filename == "tini_0.19.0-3+b8_amd64.deb"


def test_the_indexes_are_told(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all(STANZAS)
    found = resolve(context_for(archive.url), ("seed", ("python3.13-minimal",)))
    assert [deb.package for deb in found.groups["seed"]] == ["libc6", "python3.13-minimal"]
    assert [(index.uri, index.suite, index.component) for index in found.indexes] == [
        (archive.url, "trixie", "main"),
        (archive.url, "trixie-updates", "main"),
        (f"{archive.url}-security", "trixie-security", "main"),
    ]
    assert all(index.date.endswith("Z") and len(index.sha256) == 64 for index in found.indexes)


def test_a_mirror_on_disk(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("trixie", STANZAS, by_hash=False)
    context = context_for((archive.root / "debian").as_uri(), additions=())
    assert resolve(context, ("seed", ("libc6",))).groups["seed"][0].artifact.url.startswith("file:///")


def test_a_mirror_without_by_hash_folders(archive: TinyArchive, context_for: ContextFor) -> None:
    release = archive.add("trixie", STANZAS)
    (release.parent / "main/binary-amd64/by-hash").rename(release.parent / "elsewhere")
    assert resolve(context_for(archive.url, additions=()), ("seed", ("libc6",))).groups["seed"]


def test_a_suite_the_mirror_lacks(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("bookworm", STANZAS)
    with pytest.raises(LockError, match=r"has no suite 'trixie'") as caught:
        resolve(context_for(archive.url), ("base", ()))
    assert archive.url in caught.value.message
    assert "COG_NIX_DEBIAN_MIRROR" in caught.value.hint


@pytest.mark.parametrize("settings", [{}, {"security_mirror": "unreachable"}], ids=["main", "security"])
def test_a_mirror_that_does_not_answer(
    archive: TinyArchive, context_for: ContextFor, settings: dict[str, str]
) -> None:
    archive.add_all(STANZAS)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/debian"
        context = context_for(archive.url, security_mirror=dead) if settings else context_for(dead)
        with pytest.raises(LockError, match="cannot be read") as caught:
            resolve(context, ("base", ()))
    assert dead in caught.value.message
    assert "COG_NIX_DEBIAN_MIRROR" in caught.value.hint
    assert ("security_mirror" in caught.value.hint) is bool(settings)


def test_an_index_with_another_hash_is_refused(archive: TinyArchive, context_for: ContextFor) -> None:
    folder = archive.add("trixie", STANZAS, by_hash=False).parent
    (folder / "main/binary-amd64/Packages.xz").write_bytes(b"something else")
    with pytest.raises(FetchError, match="another hash"):
        resolve(context_for(archive.url, additions=()), ("base", ()))


def test_another_key_is_refused(
    archive: TinyArchive, context_for: ContextFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add_all(STANZAS)
    keyring = archive.root / "other.pgp"
    keyring.write_bytes(bytes(type(archive.key).generate("x <x@example.org>").extract_certificate()))
    monkeypatch.setenv("COG_NIX_DEBIAN_KEYRING", str(keyring))
    with pytest.raises(LockError, match=r"no valid signature by a key in .*other\.pgp"):
        resolve(context_for(archive.url), ("base", ()))


def test_a_name_that_is_unknown(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all(STANZAS)
    with pytest.raises(
        LockError, match=r"^cog.yaml:7: there is no package 'libgll1'.* Did you mean libgl1\?$"
    ):
        resolve(context_for(archive.url), ("system", ("libgll1",)), asked_in={"libgll1": "cog.yaml:7"})


def test_what_cannot_be_satisfied(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all("Package: a\nDepends: b\n\nPackage: c\nDepends: a")
    with pytest.raises(LockError) as caught:
        resolve(context_for(archive.url), ("system", ("c",)), asked_in={"c": "cog.yaml:9"})
    assert caught.value.message.splitlines()[1:] == [
        "  c (cog.yaml:9) is asked for",
        "  c needs a",
        "  a needs b",
        "    b is not there: the suite has no b",
    ]
    assert "build.system_packages" in caught.value.hint


def test_a_broken_relationship_is_the_archives_fault(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all("Package: a\nDepends: b (")
    with pytest.raises(LockError, match="index of Debian trixie is broken"):
        resolve(context_for(archive.url), ("system", ("a",)))


def test_pins_are_kept(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all("Package: a\nVersion: 1", security="Package: a\nVersion: 2")
    found = resolve(context_for(archive.url), ("system", ("a",)), pins={"a": "1"})
    assert found.groups["system"][0].version == "1"


def test_bookworm_images_are_merged_from_the_start(archive: TinyArchive, context_for: ContextFor) -> None:
    merged = (
        "\n\nPackage: init-system-helpers\nEssential: yes\nDepends: usrmerge | usr-is-merged\n\n"
        "Package: usrmerge\nProvides: usr-is-merged\n\nPackage: usr-is-merged"
    )
    archive.add_all(STANZAS + merged)
    names = [deb.package for deb in resolve(context_for(archive.url), ("base", ())).groups["base"]]
    assert "usr-is-merged" in names
    assert "usrmerge" not in names


def test_other_distributions_are_left_to_other_plugins(context_for: ContextFor) -> None:
    assert debian.resolve_system_packages(SystemRequest("noble", ()), context_for(None)) is None


@pytest.mark.parametrize(
    ("version", "offered"),
    [("3.13", True), ("3.13.5", True), ("3.13.4", False), ("3.13.50", False), ("3.12", False), ("3", False)],
)
def test_interpreters(archive: TinyArchive, context_for: ContextFor, version: str, *, offered: bool) -> None:
    archive.add_all(STANZAS)
    choice = debian.provide_interpreter(version, None, context_for(archive.url))
    assert (choice is not None) is offered
    if choice:
        assert (choice.suite, choice.minor, choice.kind) == ("trixie", "3.13", "debian")
        assert choice.executable == "/usr/bin/python3.13"
        resolve(context_for(archive.url), ("python", choice.packages))


def test_python_3_11_is_bookworms_with_distutils(context_for: ContextFor) -> None:
    choice = debian.provide_interpreter("3.11", None, context_for(None))
    assert choice is not None
    assert choice.suite == "bookworm"
    assert "python3-distutils" in choice.packages


@pytest.mark.parametrize(("suite", "offered"), [("bookworm", False), ("trixie", True), ("forky", True)])
def test_a_suite_set_by_hand(
    archive: TinyArchive, context_for: ContextFor, suite: str, *, offered: bool
) -> None:
    archive.add("forky", STANZAS)
    choice = debian.provide_interpreter("3.13", None, context_for(archive.url, suite=suite, additions=()))
    assert (choice.suite if choice else None) == (suite if offered else None)


def test_the_hooks_are_those_of_the_specification(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add_all(STANZAS)
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(Spec)
    manager.register(debian)
    manager.check_pending()
    choice = manager.hook.provide_interpreter(
        python_version="3.13", pinned=None, context=context_for(archive.url)
    )
    assert choice.version_of == "python3.13"
    request = SystemRequest("trixie", (("system", ("libgl1",)),))
    assert manager.hook.resolve_system_packages(request=request, context=context_for(archive.url)).groups


def test_the_plugin_imports_little() -> None:
    heavy = {"pysequoia", "debian", "sqlite3", "lzma", "httpx"}
    code = f"import sys, cog_nix_hooks.debian; print(sorted({heavy!r} & sys.modules.keys()))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert found.stdout.strip() == "[]"


_NON_FREE = """
Package: nvidia-cuda-toolkit
Version: 12.4.99-1
Depends: nvidia-cuda-dev

Package: nvidia-cuda-toolkit
Version: 12.4.131-2
Depends: nvidia-cuda-dev
"""


def _alone(name: str, **more: dict[str, str]) -> SystemRequest:
    return SystemRequest("trixie", (("toolkit", (name,)),), component="non-free", alone=True, **more)


@pytest.mark.parametrize(
    ("pins", "version"),
    [
        pytest.param({}, "12.4.131-2", id="highest"),
        pytest.param({"nvidia-cuda-toolkit": "12.4.99-1"}, "12.4.99-1", id="pinned"),
        pytest.param({"nvidia-cuda-toolkit": "11.8"}, "12.4.131-2", id="pin-that-is-gone"),
    ],
)
def test_a_package_of_another_component_comes_alone(
    archive: TinyArchive, context_for: ContextFor, pins: dict[str, str], version: str
) -> None:
    archive.add("trixie", STANZAS, non_free=_NON_FREE, by_hash=False)
    found = debian.resolve_system_packages(_alone("nvidia-cuda-toolkit", pins=pins), context_for(archive.url))
    assert found is not None
    (deb,) = found.groups["toolkit"]
    assert (deb.package, deb.version, deb.depends) == ("nvidia-cuda-toolkit", version, ())
    assert [(index.suite, index.component) for index in found.indexes] == [("trixie", "non-free")]


@pytest.mark.parametrize(
    ("non_free", "name", "message"),
    [
        pytest.param(_NON_FREE, "nvcc", "has no package nvcc in non-free", id="package"),
        pytest.param(None, "nvidia-cuda-toolkit", "names no Packages file for non-free", id="component"),
    ],
)
def test_what_another_component_lacks_is_told(
    archive: TinyArchive, context_for: ContextFor, non_free: str | None, name: str, message: str
) -> None:
    archive.add("trixie", STANZAS, non_free=non_free, by_hash=False)
    with pytest.raises(LockError, match=message):
        debian.resolve_system_packages(_alone(name), context_for(archive.url))
