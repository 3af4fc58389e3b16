"""Build a wheel from a source archive (PEP 517), without a network, in the build system's own file system.

Spec::

    {"name": "some-package", "version": "1.0", "depends": ["numpy", …],
     "archive": store path, "subdirectory": "", "python": "3.13",
     "root": store path of a file system (:mod:`root`), "sees": [store path of a fragment, …],
     "requires": [{"path": store path of a wheel, "filename": "setuptools-….whl"}, …],
     "programs": ["/usr/local/cuda/bin", …], "environment": [[NAME, value], …]}

``root`` is Debian with compilers, the interpreter and the virtual environment ``/usr/local``; ``sees`` are
packages of the project that the build sees. The build requirements are installed into that environment, and
the backend is called in it (:mod:`backend`). ``programs`` and ``environment`` are there when ``sees`` has a
compiler for GPUs (:mod:`compiling`). The output is a folder with the wheel. Every build runs under
the same paths, at the same date, with the same seed for hashes; the wheel's ZIP is written anew, so that
nothing of the clock is left in it.
"""

from __future__ import annotations

import email.parser
import os
import shutil
import stat
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import archive
import compiling
import confinement
import foreign
import inputs
import namespace
import overlay
import ownership
import unpack
import wheel
from failure import BuildError, CommandError
from installer.exceptions import InstallerError
from installer.sources import WheelFile

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORK = "build"
"""Folder of the source inside, and so part of what compilers write down."""
_LEGACY = "setuptools.build_meta:__legacy__"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def environment(name: str, version: str) -> dict[str, str]:
    """Return the build's whole environment."""
    known = {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"/{_WORK}/home",
        "TMPDIR": f"/{_WORK}/tmp",  # noqa: S108 - of the build alone
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(archive.MTIME),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "CARGO_NET_OFFLINE": "true",
        "MAX_JOBS": str(os.cpu_count() or 1),
    }
    if version and version != "0":
        # What asks git for the version (setuptools-scm, hatch-vcs, pbr) finds none in an archive.
        suffix = name.upper().replace("-", "_").replace(".", "_")
        known |= {
            f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{suffix}": version,
            "SETUPTOOLS_SCM_PRETEND_VERSION": version,
            "PBR_VERSION": version,
        }
    return known


def unpack_source(source: Path, target: Path) -> None:
    """Unpack a source archive; a single folder at its top becomes ``target`` itself (PEP 625)."""
    unpacked = target.with_name(f"{target.name}.new")
    unpacked.mkdir(parents=True)
    with foreign.reading(target.name, "source archive"):
        if zipfile.is_zipfile(source):
            _unpack_zip(source, unpacked)
        else:
            with tarfile.open(source) as tar:
                tar.extractall(unpacked, filter=_plain)  # noqa: S202 - filtered
    tops = list(unpacked.iterdir())
    only = tops[0] if len(tops) == 1 and tops[0].is_dir() else unpacked
    only.rename(target)
    shutil.rmtree(unpacked, ignore_errors=True)


def _plain(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    safe = tarfile.data_filter(member, path)
    return safe.replace(mtime=archive.MTIME, deep=False) if safe else None


def _unpack_zip(source: Path, target: Path) -> None:
    """ZipFile.extractall keeps neither permissions nor times."""
    with zipfile.ZipFile(source) as opened:
        for info in opened.infolist():
            path = Path(opened.extract(info, target))
            mode = info.external_attr >> 16
            if stat.S_IMODE(mode) and not path.is_dir():
                path.chmod(stat.S_IMODE(mode) | 0o600)
            os.utime(path, (archive.MTIME, archive.MTIME))


def build(spec: Mapping[str, Any], root: Path) -> Path:
    """Build the wheel in ``root``, laid over the build system; return its path."""
    work = root / _WORK
    source = work / f"{spec['name']}-{spec['version']}"
    for name in ("home", "tmp", "out"):
        (work / name).mkdir(parents=True)
    unpack_source(Path(spec["archive"]), source)
    shutil.copyfile(Path(__file__).with_name("backend.py"), work / "backend.py")
    folder = PurePosixPath("/", _WORK, source.name, spec["subdirectory"])
    status = namespace.run(
        overlay.lay_over(Path(spec["root"]), root),
        [
            "/usr/local/bin/python",
            f"/{_WORK}/backend.py",
            str(folder),
            f"/{_WORK}/out",
            *backend(root, folder),
        ],
        {**environment(spec["name"], spec["version"]), **compiling.variables(spec)},
        {},
        # Who writes down what is asked for counts processes as well.
        owners=None if confinement.kernel_counts_processes() else ownership.Ownership(),
    )
    if status:
        raise CommandError(f"building {spec['name']} {spec['version']}", status)
    return next((work / "out").glob("*.whl"))


def backend(root: Path, folder: PurePosixPath) -> list[str]:
    """Return ``build-backend`` and ``backend-path`` (PEP 517); setuptools' for a project that names none."""
    path = root / folder.relative_to("/") / "pyproject.toml"
    with foreign.reading("pyproject.toml"):
        known = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        system = dict(known.get("build-system", {}))
    return [system.get("build-backend") or _LEGACY, *system.get("backend-path", ())]


def check(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """See that the wheel is what the lock took it for: name, version, and what it requires."""
    name = _normal(metadata["name"])
    if name != spec["name"]:
        raise BuildError(f"the source of {spec['name']} builds a package called {metadata['name']}")
    if spec["version"] not in {metadata["version"], "", "0"}:
        raise BuildError(
            f"the source of {spec['name']} {spec['version']} builds version {metadata['version']}"
        )
    missing = sorted(set(metadata["requires"]) - {*spec["depends"], name})
    if missing:
        raise BuildError(
            f"{spec['name']} {spec['version']} turns out to require {', '.join(missing)}, which its"
            " source did not say when it was locked\nAdd that to the requirements, and lock again."
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """Return name, version, and the normalised names that a wheel requires whatever the environment is."""
    with foreign.reading(path.name, "wheel", InstallerError), WheelFile.open(path) as opened:
        known = email.parser.HeaderParser().parsestr(opened.read_dist_info("METADATA"))
    stated = [line for line in known.get_all("Requires-Dist") or [] if ";" not in line]
    return {
        "name": known["Name"],
        "version": known["Version"],
        "requires": [_normal(_leading_name(line)) for line in stated],
    }


def _leading_name(line: str) -> str:
    end = next((at for at, one in enumerate(line) if not (one.isalnum() or one in "-_.")), len(line))
    return line[:end]


def _normal(name: str) -> str:
    """Normalise a name (PEP 503)."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def write_anew(built: Path, target: Path) -> None:
    """Copy a wheel, members sorted and dated alike; uncompressed, since it is only read here."""
    with (
        foreign.reading(built.name, "wheel"),
        zipfile.ZipFile(built) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new,
    ):
        for info in sorted(old.infolist(), key=lambda info: info.filename):
            if info.is_dir():
                continue
            clean = zipfile.ZipInfo(info.filename, _ZIP_DATE)
            executable = info.external_attr >> 16 & stat.S_IXUSR
            clean.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            with old.open(info) as source, new.open(clean, "w", force_zip64=info.file_size > 1 << 31) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    confinement.shelter()
    root = inputs.scratch() / "root"
    root.mkdir()
    # Folders that builds write to are there from the start: those of the store belong to somebody else.
    for folder in ("dev", "etc", "run", "tmp", "usr/local", "var/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    unpack.unpack([Path(path) for path in spec["sees"]], root)
    for required in spec["requires"]:
        link = inputs.scratch() / required["filename"]
        link.symlink_to(required["path"])
        wheel.unpack(_only(link), spec["python"], root)
    built = build(spec, root)
    check(read_metadata(built), spec)
    inputs.output().mkdir()
    write_anew(built, inputs.output() / built.name)


def _only(path: Path) -> Path:
    """Return a wheel, or the one in a folder that another build made."""
    return next(path.glob("*.whl")) if path.is_dir() else path
