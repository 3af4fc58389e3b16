"""Nix and a container engine that come with cog-nix: Debian's packages, unpacked into a folder that works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.failures import StatusError
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix.system.paths import cache_dir
from cog_nix.system.platforms import AMD64, ARM64, BUILDER, PLATFORMS
from cog_nix_hooks import debian
from cog_nix_hooks.debian import pins, programs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact
    from cog_nix.plugins.spec import Finding
    from cog_nix.system.platforms import Platform

pytestmark = pytest.mark.network

_PINS = pins.file_name(BUILDER).replace("programs", "pins")
"""What was found in the archive is remembered in, in the cache."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Return services with a cache that has nothing but this machine's downloads."""
    reporter = SilentReporter()
    fetcher = CachingFetcher(cache_dir(), reporter)
    return Context(Settings(), fetcher, reporter, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def nix(context: Context) -> Path:
    """Return the folder of Nix's launchers."""
    found = debian.provide_programs("nix", context)
    assert found is not None
    return found


def test_nix_runs_and_has_what_it_needs_and_no_more(nix: Path) -> None:
    said = subprocess.check_output([nix / "nix-build", "--version"], text=True, env={})
    assert said.startswith("nix-build (Nix) 2.")
    everything = sum(path.lstat().st_size for path in nix.parent.rglob("*"))
    assert everything < 60e6
    assert not list((nix.parent / "lib").glob("libperl*"))


def test_it_works_from_where_its_cache_was_moved_to(nix: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(nix.parent, tmp_path / "moved", symlinks=True)
    launcher = moved / "bin/nix-store"
    launcher.write_text(launcher.read_text().replace(nix.parent.name, "gone"))
    assert "(Nix)" in subprocess.check_output([launcher, "--version"], text=True)


@pytest.mark.nix
def test_it_builds_where_there_is_no_other_nix(nix: Path, tmp_path: Path) -> None:
    """Its build hook is itself, and ``/bin/sh`` of builds is its own."""
    (tmp_path / "x.nix").write_text(
        f'derivation {{ name = "x"; system = "{BUILDER.nix_system}"; builder = "/bin/sh";'
        ' args = [ "-c" "echo made > $out" ]; }'
    )
    command = [str(nix / "nix-build"), "x.nix", "--store", str(tmp_path / "store"), "--no-out-link"]
    command += ["--option", "substitute", "false", "--option", "build-users-group", ""]
    command += ["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"]
    hidden = 'for one in /usr/bin/nix /usr/bin/bash-static /bin/bash-static; do [ ! -e "$one" ] || '
    hidden += 'mount --bind /dev/null "$one"; done; exec "$@"'
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    made = subprocess.check_output([*unshare, "sh", "-c", hidden, "sh", *command], cwd=tmp_path, text=True)
    assert (tmp_path / "store" / made.strip().lstrip("/")).read_text() == "made\n"


def test_the_containers_programs_run_from_any_folder(context: Context, tmp_path: Path) -> None:
    cache = tmp_path / "with 'space'"
    folder = debian.provide_programs("container", replace(context, cache_dir=cache))
    assert folder is not None
    for name in ("bwrap", "mount", "setpriv", "tar", "unshare"):
        said = subprocess.check_output([folder / name, "--version"], text=True, env={})
        assert name.replace("bwrap", "bubblewrap") in said


def test_what_is_there_is_not_made_again(nix: Path, context: Context) -> None:
    made = nix.stat().st_mtime_ns
    without = replace(context, fetcher=_Refuses())  # type: ignore[arg-type]
    assert debian.provide_programs("nix", without) == nix
    assert nix.stat().st_mtime_ns == made


def test_two_at_a_time_do_no_harm(nix: Path, context: Context, tmp_path: Path) -> None:
    fresh = replace(context, cache_dir=tmp_path)
    (tmp_path / "programs").mkdir()
    shutil.copy(nix.parents[1] / _PINS, tmp_path / "programs")
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: debian.provide_programs("container", fresh), range(2))
    assert one == two
    kept = {path.name for path in (tmp_path / "programs").iterdir()}
    assert kept == {_PINS, "lock", one.parent.name if one else ""}


class _Refuses:
    """A mirror that has none of the packages."""

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        raise StatusError(wanted[0].url, 404)

    def take(self, url: str) -> tuple[str, int]:
        raise NotImplementedError(url)

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        raise NotImplementedError(url, max_age)


def test_what_a_release_pinned_and_the_mirror_dropped_is_replaced(
    nix: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = json.loads((nix.parents[1] / _PINS).read_text())
    del now["instead_of"]
    released = json.loads(json.dumps(now))
    for pin in released["programs"]["container"]:
        pin.update(sha256="0" * 63 + pin["sha256"][0], path=f"{pin['path']}.dropped")
    monkeypatch.setattr(pins, "PINS_FILE", tmp_path / "programs.json")
    pins.PINS_FILE.write_text(json.dumps(released))
    said: list[str] = []
    reporter = SilentReporter()
    monkeypatch.setattr(reporter, "info", said.append)
    fresh = replace(context, cache_dir=tmp_path / "cache", reporter=reporter)
    assert debian.provide_programs("container", fresh)
    assert said == ["The archive has dropped a pinned package of bubblewrap: taking what it has now."]
    found = pins.current(fresh.cache_dir)
    assert found is not None
    assert (found.released, found.plain()) == (False, now)

    pins.PINS_FILE.write_text(json.dumps({**released, "date": "another release"}))
    later = pins.current(fresh.cache_dir)
    assert later is not None
    assert later.released, "what replaced an old release's pins says nothing about a new one's"


def test_other_machines_get_none(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "host_platform", lambda: None)
    assert debian.provide_programs("nix", context) is None


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=str)
def test_each_processor_has_packages_of_its_own(context: Context, platform: Platform) -> None:
    found = pins.resolve(context, platform).programs
    lacking = set() if platform == AMD64 else {"libcpuid17"}
    for name, packages in pins.PACKAGES.items():
        assert [pin.package for pin in found[name]] == sorted(set(packages) - lacking)
        assert all(pin.path.endswith((f"_{platform.debian}.deb", "_all.deb")) for pin in found[name])


def test_a_release_has_a_file_for_each_processor() -> None:
    assert {one: pins.file_name(one) for one in PLATFORMS.values()} == {
        AMD64: "programs.json",
        ARM64: "programs-arm64.json",
    }
    assert pins.PINS_FILE.name == pins.file_name(BUILDER)


def test_the_doctor_tells_what_was_fetched_and_moves_it(nix: Path, context: Context, tmp_path: Path) -> None:
    def own(found: Context) -> list[Finding]:
        return [one for one in debian.diagnose(found) if one.check == "Own programs"]

    fresh = replace(context, cache_dir=tmp_path)
    assert own(fresh) == [], "nothing has been fetched"
    before = json.loads((nix.parents[1] / _PINS).read_text())
    for pin in before["programs"]["container"]:
        pin["sha256"] = pin["sha256"][::-1]  # another version of each package
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / _PINS).write_text(json.dumps(before))
    old = pins.current(tmp_path)
    assert old is not None
    (programs.folder("container", old, tmp_path) / "bin").mkdir(parents=True)
    [found] = own(fresh)
    assert found.severity == "ok"
    assert found.message.startswith("bubblewrap ")
    assert f"what Debian had on {old.date}" in found.message
    assert found.fix
    found.fix()
    made = debian.provide_programs("container", replace(fresh, fetcher=_Refuses()))  # type: ignore[arg-type]
    assert made is not None
    assert made.parent != programs.folder("container", old, tmp_path)
    assert (made / "bwrap").exists()


def test_a_library_that_is_missing_is_named(nix: Path, tmp_path: Path) -> None:
    tree = shutil.copytree(nix.parent, tmp_path / "tree", symlinks=True)
    (tree / "lib/libsqlite3.so.0").unlink()
    with pytest.raises(Exception, match=r"nix needs libsqlite3\.so\.0, which none of them has"):
        programs._trim(tree)
