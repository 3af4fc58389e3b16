"""Sources of every kind, built by the real Nix into an image that uses them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.store.nix import discover
from conftest import cog_nix

from .conftest import Index, commit, sdist, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.docker]

_PROJECTS = Path(__file__).parent / "projects"
_IMAGE = "cog-nix-test-many-sources"
_SECRET = "correct-horse-battery-stall"  # noqa: S105
_PYTHON = """\
import json, shutil, subprocess
import c_extension, docopt, flash_like, git_project, hatched, legacy_setup, meson_project
print(json.dumps({
    "c": c_extension.checksum("a"),
    "pypi": docopt.__version__,
    "flash": flash_like.BUILT_WITH,
    "git": git_project.WHERE,
    "hatch": hatched.__version__,
    "legacy": subprocess.check_output(["legacy-hello"], text=True),
    "meson": meson_project.answer(),
    "compilers": [tool for tool in ("cc", "gcc", "cmake", "git", "meson", "ninja") if shutil.which(tool)],
    "freeze": subprocess.check_output(["pip", "freeze"], text=True),
}))
"""


def texts(name: str) -> dict[str, str]:
    root = _PROJECTS / name
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_text() for path in files}


@pytest.fixture(scope="module")
def site() -> Iterator[Index]:
    with serve() as index:
        yield index


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, site: Index) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "many-sources"
    (folder / "dist").mkdir(parents=True)
    local = ("hatch-project", "meson-project", "flash-like", "torch-like")
    for name in local:
        (folder / f"dist/{name}.tar.gz").write_bytes(sdist(name, texts(name)))
    site.password, site.closed = _SECRET, True
    site.add_source("c-extension", "1.0", texts("c-extension"))
    site.add_source("legacy-setup", "0.9", texts("legacy-setup"))
    repository = tmp_path_factory.mktemp("repository")
    commit(repository, texts("git-project"), tag="v4.5")
    site.repositories["git-project"] = repository
    private = site.url.replace("//", "//user:${TOKEN}@")
    requirements = [
        f"--extra-index-url {private}/simple/",
        "c-extension",
        *(f"./dist/{name}.tar.gz" for name in local),
        f"{private}/files/legacy-setup-0.9.tar.gz",
        f"-e git+{private}/git/git-project@v4.5#egg=git-project&subdirectory=python",
        "docopt==0.6.2",
    ]
    (folder / "requirements.txt").write_text("\n".join(requirements))
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\nrun: "run.py:Runner"\n'
    )
    (folder / "run.py").write_text(
        "from cog import BaseRunner\nclass Runner(BaseRunner):\n    def run(self) -> str: return ''\n"
    )
    return folder


@pytest.fixture(scope="module")
def log(project: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN", _SECRET)
        return cog_nix("build", "-t", _IMAGE, cwd=project).stderr


@pytest.fixture(scope="module")
def image(log: str) -> str:
    assert "Image built" in log
    return _IMAGE


@pytest.fixture(scope="module")
def needed(image: str, project: Path) -> list[str]:
    """Return every store path that the image was built from, and the image."""
    assert image
    nix = discover()
    command = nix.command("nix-store", "--query", "--deriver", str((project / "result").readlink()))
    derivation = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    command = nix.command("nix-store", "--query", "--requisites", "--include-outputs", derivation)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture(scope="module")
def answers(image: str) -> dict[str, Any]:
    command = ["docker", "run", "--rm", "--network=none", image, "python", "-c", _PYTHON]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        pytest.param("c", 3904355907, id="c-extension"),
        pytest.param("pypi", "0.6.2", id="sdist-from-the-index"),
        pytest.param("flash", "2.7", id="setup-that-imports-the-project-s-torch"),
        pytest.param("git", "git", id="git"),
        pytest.param("hatch", "2.1", id="hatchling"),
        pytest.param("legacy", "hello from legacy\n", id="setup-py-alone-behind-a-url"),
        pytest.param("meson", 42, id="meson"),
        pytest.param("compilers", [], id="no-compilers-in-the-image"),
    ],
)
def test_the_image_has_what_was_built(answers: dict[str, Any], kind: str, answer: object) -> None:
    assert answers[kind] == answer


def test_pip_and_the_label_tell_where_packages_come_from(image: str, answers: dict[str, Any]) -> None:
    template = '{{index .Config.Labels "run.cog.pip_freeze"}}'
    command = ["docker", "inspect", "--format", template, image]
    label = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert answers["freeze"].strip() == label.strip()
    lines = dict(line.split(" @ ", 1) for line in label.splitlines() if " @ " in line)
    assert lines["hatch-project"].startswith("file:///src/dist/hatch-project.tar.gz#sha256=")
    assert lines["git-project"].startswith("git+http://127.0.0.1:")
    assert lines["git-project"].endswith("#subdirectory=python")
    assert "git-project==" not in label


def test_the_password_of_the_index_is_nowhere(log: str, project: Path, needed: list[str]) -> None:
    lock = project / "cog-nix.lock"
    assert site_of(lock) == ["c-extension", "git-project", "legacy-setup"]
    assert _SECRET not in log
    nix = discover()
    ours = [lock, *(nix.real(path) for path in needed if path.endswith((".drv", "-built", ".tar", ".gz")))]
    ours += [project / "result", *(project / ".cog").rglob("*")]
    assert len(ours) > 10
    found = subprocess.run(
        ["grep", "-rlF", _SECRET, *map(str, ours)], check=False, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (1, "")


def site_of(lock: Path) -> list[str]:
    """Return the artifacts that came from the private site."""
    wheels = json.loads(lock.read_text())["wheels"]
    return [one["name"] for one in wheels if "127.0.0.1" in one["artifact"]["url"]]


def test_a_build_makes_the_same_wheel_twice(needed: list[str]) -> None:
    nix = discover()
    built = [
        path for path in needed if path.endswith(("c-extension-1.0-built.drv", "meson-project-3.0-built.drv"))
    ]
    assert len(built) == 2
    command = nix.command("nix-store", "--realise", "--check", *built)
    subprocess.run(command, check=True, capture_output=True)


def test_a_changed_archive_makes_the_lock_stale(image: str, project: Path) -> None:
    assert image
    archive = project / "dist/torch-like.tar.gz"
    before = archive.read_bytes()
    archive.write_bytes(sdist("torch-like", {**texts("torch-like"), "new.py": ""}))
    try:
        refused = cog_nix("build", "--no-load", cwd=project, check=False)
    finally:
        archive.write_bytes(before)
    assert refused.returncode != 0
    assert "does not fit" in refused.stderr
    assert cog_nix("build", "--no-load", cwd=project).returncode == 0
