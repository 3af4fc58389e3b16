from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import PythonSettings, Settings
from cog_nix.errors import FetchError, LockError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context, PythonRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks import pypi

from .conftest import commit, sdist, static, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Wheel

    from .conftest import Index

    Resolve = Callable[..., dict[str, Wheel]]

pytestmark = [pytest.mark.usefixtures("plain_machine"), pytest.mark.slow]  # runs uv for each test

_BROKEN_SETUP = """\
import torch
from setuptools import setup
setup(name='flash', version='1.0', install_requires=['torch'])
"""


_OWN_BACKEND = "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n"
_NAMES_TORCH = """\
import pathlib

def get_requires_for_build_wheel(config_settings=None):
    return ["torch"]

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    about = pathlib.Path(metadata_directory, "upscaler-1.0.dist-info")
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\\nName: upscaler\\nVersion: 1.0\\nRequires-Dist: packaging\\n"
    )
    return about.name
"""
_USES_TORCH = _NAMES_TORCH.replace(
    "    about =",
    "    from importlib.metadata import version\n    assert version('torch') == '2.0'\n    about =",
)


@pytest.fixture
def stocked(index: Index) -> Index:
    """An index with what builds ask for."""
    for name in ("backend", "setuptools", "wheel", "packaging"):
        index.add(name, "1.0" if name != "setuptools" else "70.0")
    return index


def built(found: Wheel) -> dict[str, str]:
    assert found.source is not None
    return {one.name: one.version for one in found.source.requires}


def test_the_newest_version_counts_though_it_is_a_source(stocked: Index, resolve: Resolve) -> None:
    stocked.add("lib", "1.0")
    content = stocked.add_source("lib", "2.0", {"pyproject.toml": static("lib", "2.0", ["packaging"])})
    found = resolve(stocked.line, "lib")
    lib = found["lib"]
    assert (lib.version, lib.artifact.filename, lib.depends) == ("2.0", "lib-2.0.tar.gz", ("packaging",))
    assert lib.artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert lib.source is not None
    assert (lib.source.kind, lib.source.isolated, lib.origin) == ("sdist", True, "")
    assert built(lib) == {"backend": "1.0"}
    assert found["packaging"].source is None


@pytest.mark.parametrize(
    ("option", "version", "source"),
    [
        pytest.param("--prefer-binary", "1.0", False, id="prefer-binary"),
        pytest.param("--only-binary=:all:", "1.0", False, id="only-binary"),
        pytest.param("--no-binary=lib", "2.0", True, id="no-binary"),
    ],
)
def test_options_choose_between_wheel_and_source(
    stocked: Index,
    resolve: Resolve,
    option: str,
    version: str,
    source: bool,  # noqa: FBT001
) -> None:
    stocked.add("lib", "1.0")
    stocked.add_source("lib", "1.0", {"pyproject.toml": static("lib", "1.0")})
    stocked.add_source("lib", "2.0", {"pyproject.toml": static("lib", "2.0")})
    found = resolve(stocked.line, option, "lib")["lib"]
    assert (found.version, found.source is not None) == (version, source)


def test_hashes_choose_and_refuse_files(stocked: Index, resolve: Resolve) -> None:
    stocked.add("lib", "1.0", tags="py3-none-manylinux2014_x86_64")
    allowed = stocked.add("lib", "1.0", tags="py3-none-any")
    sha256 = hashlib.sha256(allowed).hexdigest()
    other = stocked.add("lib", "1.0", ["x"], tags="py2.py3-none-any")
    assert hashlib.sha256(other).hexdigest() != sha256
    assert resolve(stocked.line, f"lib==1.0 --hash=sha256:{sha256}")["lib"].artifact.sha256 == sha256
    with pytest.raises(LockError, match="has a hash"):
        resolve(stocked.line, f"lib==1.0 --hash=sha256:{'0' * 64}")


def test_a_build_takes_the_project_s_version_where_it_fits(stocked: Index, resolve: Resolve) -> None:
    for version in ("1.0", "2.0", "3.0"):
        stocked.add("numpy", version)
    builds = {"fits": ["numpy"], "not": ["numpy>=3"]}
    for name, build in builds.items():
        stocked.add_source(name, "1.0", {"pyproject.toml": static(name, "1.0", build=build)})
    found = resolve(stocked.line, "numpy==2.0", "fits", "not")
    assert (built(found["fits"]), built(found["not"])) == ({"numpy": "2.0"}, {"numpy": "3.0"})
    kept = resolve(stocked.line, "fits", "not", build_pins={"fits": {"numpy": "1.0"}})
    assert (built(kept["fits"]), built(kept["not"])) == ({"numpy": "1.0"}, {"numpy": "3.0"})


def test_a_build_may_need_a_source(stocked: Index, resolve: Resolve) -> None:
    stocked.add_source("tool", "1.0", {"pyproject.toml": static("tool", "1.0")})
    stocked.add_source("lib", "1.0", {"pyproject.toml": static("lib", "1.0", build=["tool"])})
    source = resolve(stocked.line, "lib")["lib"].source
    assert source is not None
    assert [one.name for one in source.requires] == ["tool"]
    assert built(source.requires[0]) == {"backend": "1.0"}


def test_a_build_that_cannot_be_resolved_is_named(stocked: Index, resolve: Resolve) -> None:
    stocked.add_source("lib", "1.0", {"pyproject.toml": static("lib", "1.0", build=["nowhere"])})
    with pytest.raises(LockError, match=r"building lib 1\.0 takes") as caught:
        resolve(stocked.line, "lib")
    assert "nowhere" in caught.value.message


@pytest.mark.parametrize("place", ["index", "local", "git", "unnamed-git", "url"])
def test_a_setup_that_imports_what_it_does_not_ask_for(
    stocked: Index, resolve: Resolve, project: Path, tmp_path: Path, place: str
) -> None:
    stocked.add("torch", "2.0", ["packaging"])
    content = stocked.add_source("flash", "1.0", {"setup.py": _BROKEN_SETUP})
    (project / "flash-1.0.tar.gz").write_bytes(content)
    repository = tmp_path / "repository"
    repository.mkdir()
    commit(repository, {"setup.py": _BROKEN_SETUP})
    lines = {
        "index": "flash",
        "local": "./flash-1.0.tar.gz",
        "git": f"flash @ git+{repository.as_uri()}",
        "unnamed-git": f"git+{repository.as_uri()}",
        "url": f"{stocked.url}/files/flash-1.0.tar.gz",
    }
    found = resolve(stocked.line, lines[place], "torch")
    source = found["flash"].source
    assert (found["flash"].version, found["flash"].depends) == ("1.0", ("torch",))
    assert source is not None
    assert (source.isolated, source.sees) == (False, ("packaging", "torch"))
    assert built(found["flash"]) == {"setuptools": "70.0", "wheel": "1.0"}


def test_an_index_is_asked_once_for_what_is_resolved_twice(stocked: Index, resolve: Resolve) -> None:
    stocked.add("lib", "1.0", ["packaging"])
    found = resolve(stocked.line, "lib")
    assert found["lib"].depends == ("packaging",)
    assert [stocked.asked.count(f"GET /simple/{name}/") for name in ("lib", "packaging")] == [1, 1]


def test_what_a_source_says_is_resolved_by_what_the_index_has_just_said(
    stocked: Index, resolve: Resolve
) -> None:
    stocked.add("torch", "2.0", ["packaging"])
    stocked.add_source("flash", "1.0", {"setup.py": _BROKEN_SETUP})
    assert resolve(stocked.line, "flash", "torch")["flash"].depends == ("torch",)
    # Once by the try that ends with the build, and once by the one that leaves it out.
    assert stocked.asked.count("GET /simple/torch/") == 2


def test_a_package_that_a_source_alone_asks_for_is_the_newest_of_today(
    stocked: Index, resolve: Resolve
) -> None:
    stocked.add("torch", "1.0")
    assert resolve(stocked.line, "torch")["torch"].version == "1.0"
    stocked.add("torch", "2.0")
    stocked.add_source("flash", "1.0", {"setup.py": _BROKEN_SETUP})
    assert resolve(stocked.line, "flash")["torch"].version == "2.0"


@pytest.mark.parametrize("needed", [False, True], ids=["named", "used"])
def test_a_heavy_package_is_fetched_for_metadata_only_where_it_is_used(
    stocked: Index, resolve: Resolve, *, needed: bool
) -> None:
    stocked.add("torch", "2.0")
    files = {"pyproject.toml": _OWN_BACKEND, "own.py": _USES_TORCH if needed else _NAMES_TORCH}
    stocked.add_source("upscaler", "1.0", files)
    found = resolve(stocked.line, "upscaler")
    assert found["upscaler"].depends == ("packaging",)
    assert found["upscaler"].source is not None
    fetched = "GET /files/torch-2.0-py3-none-any.whl" in stocked.asked
    assert fetched == needed


def test_a_project_far_from_uv_s_cache_is_asked(
    stocked: Index, resolve: Resolve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text(
        f"{_OWN_BACKEND}[project]\nname = 'upscaler'\nversion = '1.0'\ndynamic = ['dependencies']\n"
    )
    (project / "own.py").write_text(_NAMES_TORCH)
    elsewhere = next(one for one in ("/var/tmp", "/tmp") if Path(one).parts[1] != project.parts[1])
    with tempfile.TemporaryDirectory(dir=elsewhere) as cache:
        monkeypatch.setenv("UV_CACHE_DIR", cache)
        found = resolve(stocked.line, "-r pyproject.toml")
    assert "packaging" in found


def test_a_source_that_tells_nothing_is_explained(stocked: Index, resolve: Resolve) -> None:
    setup = "import absent\nfrom setuptools import setup\nsetup(install_requires=absent.of())\n"
    stocked.add_source("silent", "1.0", {"setup.py": setup})
    with pytest.raises(LockError, match=r"silent==1\.0 does not say what it requires") as caught:
        resolve(stocked.line, "silent")
    assert "wheel" in caught.value.hint


def test_local_archives_are_relative_to_the_project(stocked: Index, resolve: Resolve, project: Path) -> None:
    (project / "dist").mkdir()
    content = sdist("mine-1.0", {"sub/pyproject.toml": "", "pyproject.toml": static("mine", "1.0")})
    (project / "dist/mine-1.0.tar.gz").write_bytes(content)
    (project / "dist/other-2.0-py3-none-any.whl").write_bytes(wheel("other", "2.0"))
    found = resolve(stocked.line, "./dist/mine-1.0.tar.gz", "./dist/other-2.0-py3-none-any.whl")
    mine, other = found["mine"], found["other"]
    assert mine.artifact.url == "./dist/mine-1.0.tar.gz"
    assert (mine.artifact.sha256, mine.artifact.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert mine.origin == f"file:///src/dist/mine-1.0.tar.gz#sha256={mine.artifact.sha256}"
    assert (other.artifact.url, other.source) == ("./dist/other-2.0-py3-none-any.whl", None)


def test_an_archive_behind_a_url(stocked: Index, resolve: Resolve) -> None:
    files = {"sub/pyproject.toml": static("lib", "1.0"), "setup.py": ""}
    content = stocked.add_source("lib", "1.0", files)
    url = f"{stocked.url}/files/lib-1.0.tar.gz"
    found = resolve(stocked.line, f"lib @ {url}#subdirectory=sub")["lib"]
    sha256 = hashlib.sha256(content).hexdigest()
    assert (found.artifact.url, found.artifact.sha256) == (url, sha256)
    assert found.source is not None
    assert (found.source.kind, found.source.subdirectory) == ("archive", "sub")
    assert found.origin == f"{url}#sha256={sha256}&subdirectory=sub"


@pytest.mark.parametrize("revision", ["", "@main", "@v1", "@SHORT", "@FULL"])
def test_a_git_revision_becomes_a_commit(
    stocked: Index, resolve: Resolve, tmp_path: Path, revision: str
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    full = commit(folder, {"pyproject.toml": static("lib", "1.0")}, tag="v1")
    stocked.repositories["lib"] = folder
    revision = revision.replace("SHORT", full[:7]).replace("FULL", full)
    found = resolve(stocked.line, f"lib @ git+{stocked.url}/git/lib{revision}")["lib"]
    assert found.source is not None
    assert found.source.kind == "git"
    assert found.artifact.url == f"git+{stocked.url}/git/lib@{full}"
    assert found.origin == found.artifact.url
    assert built(found) == {"backend": "1.0"}


@pytest.mark.parametrize("form", ["lib @ git+{}", "git+{}", "-e git+{}#egg=lib"])
@pytest.mark.parametrize("revision", ["main", ""])
def test_a_branch_stays_at_its_commit(
    stocked: Index, resolve: Resolve, tmp_path: Path, form: str, revision: str
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    before = commit(folder, {"pyproject.toml": static("lib", "1.0")})
    stocked.repositories["lib"] = folder
    repository = f"{stocked.url}/git/lib"
    line = form.format(f"{repository}@{revision}" if revision else repository)
    first = resolve(stocked.line, line)["lib"]
    assert first.source is not None
    assert first.source.revision == revision
    after = commit(folder, {"pyproject.toml": static("lib", "2.0")}, tag="v2")
    commits = {f"git+{repository}@{revision}": before}
    assert resolve(stocked.line, line, commits=commits) == {"lib": first}
    assert resolve(stocked.line, line)["lib"].artifact.url.endswith(f"@{after}")
    elsewhere = form.format(f"{repository}@v2")
    assert resolve(stocked.line, elsewhere, commits=commits)["lib"].version == "2.0"


def test_a_commit_is_fetched_anew_and_checked(stocked: Index, resolve: Resolve, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    commit(folder, {"pyproject.toml": static("lib", "1.0"), "run.sh": "", "link": ""})
    (folder / "run.sh").chmod(0o755)
    (folder / "link").unlink()
    (folder / "link").symlink_to("run.sh")
    commit(folder, {".gitattributes": "run.sh export-ignore\n"})
    stocked.repositories["lib"] = folder
    artifact = resolve(stocked.line, f"git+{stocked.url}/git/lib")["lib"].artifact
    commit(folder, {"later": "1"})
    os.utime(folder / "run.sh", (1, 1))
    paths = CachingFetcher(tmp_path / "another", SilentReporter()).artifacts([artifact])
    assert hashlib.sha256(paths[artifact.sha256].read_bytes()).hexdigest() == artifact.sha256
    wrong = type(artifact)(artifact.filename, artifact.url, "0" * 64, artifact.size)
    with pytest.raises(FetchError, match="not those that were locked"):
        CachingFetcher(tmp_path / "third", SilentReporter()).artifacts([wrong])
    gone = type(artifact)(artifact.filename, f"{artifact.url[:-40]}{'1' * 40}", "0" * 64, artifact.size)
    with pytest.raises(FetchError, match="has no commit"):
        CachingFetcher(tmp_path / "fourth", SilentReporter()).artifacts([gone])


def test_a_git_repository_that_cannot_be_read_is_explained(index: Index, resolve: Resolve) -> None:
    with pytest.raises(LockError) as caught:
        resolve(index.line, f"lib @ git+{index.url.replace('//', '//user:hunter2@')}/git/absent")
    (line,) = caught.value.message.splitlines()
    assert f"the git repository {index.url}/git/absent cannot be read: repository" in line
    assert "hunter2" not in caught.value.shown()


def test_a_git_repository_on_a_host_that_is_down_is_explained(index: Index, resolve: Resolve) -> None:
    with pytest.raises(LockError) as caught:
        resolve(index.line, "lib @ git+http://127.0.0.1:9/lib", asked_in="requirements.txt")
    (line,) = caught.value.message.splitlines()
    assert line.startswith(
        "requirements.txt: the git repository http://127.0.0.1:9/lib cannot be read: Failed to connect to"
    )
    assert "HTTPS_PROXY" in caught.value.hint


@pytest.mark.parametrize("way", ["in-the-line", "from-the-environment", "netrc"])
def test_credentials_reach_all_that_is_fetched_and_nothing_else(
    stocked: Index, resolve: Resolve, plain_machine: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    commit(folder, {"pyproject.toml": static("lib", "1.0")})
    stocked.repositories["lib"] = folder
    stocked.add("pure", "1.0")
    stocked.add_source("source", "1.0", {"pyproject.toml": static("source", "1.0")})
    stocked.password, stocked.closed, stocked.html = "hunter2", True, True
    userinfo = {"in-the-line": "user:hunter2@", "from-the-environment": "user:${TOKEN}@", "netrc": ""}[way]
    plain_machine.setenv("TOKEN", "hunter2")
    if way == "netrc":
        netrc = tmp_path / "home/.netrc"
        netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
        netrc.chmod(0o600)
        plain_machine.setenv("NETRC", str(netrc))
    url = stocked.url.replace("//", f"//{userinfo}")
    found = resolve(f"--index-url {url}/simple/", "pure", "source", f"git+{url}/git/lib")
    assert {"pure", "source", "lib"} == set(found)
    assert "hunter2" not in repr(found)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_secret_that_cannot_be_taken_out_is_refused(
    stocked: Index, resolve: Resolve, plain_machine: pytest.MonkeyPatch
) -> None:
    plain_machine.setenv("TOKEN", "lib-1")
    stocked.add("lib", "1.0")
    with pytest.raises(LockError, match="the value of an environment variable") as caught:
        resolve(stocked.line, stocked.url + "/files/${TOKEN}.0-py3-none-any.whl")
    assert "lib-1" not in caught.value.shown()


def test_the_user_adds_to_a_build(stocked: Index, tmp_path: Path, project: Path) -> None:
    stocked.add_source("lib", "1.0", {"pyproject.toml": static("lib", "1.0")})
    python = PythonSettings(build_requires=(("lib", ("packaging",)),), no_build_isolation=("lib",))
    reporter = SilentReporter()
    cache = tmp_path / "cache"
    context = Context(Settings(python=python), CachingFetcher(cache, reporter), reporter, cache)
    request = PythonRequest("3.13.5", (stocked.line, "lib", "backend"), "2.41", project)
    found = {one.name: one for one in pypi.resolve_python_packages(request, context).wheels}
    assert built(found["lib"]) == {"packaging": "1.0"}
    assert found["lib"].source is not None
    assert found["lib"].source.sees == ("backend",)
