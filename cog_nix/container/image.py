"""The image that Nix runs in, and that of cog-nix as a whole: from system packages and wheels, nothing run.

Both are made without Nix, a registry or a container, since they are for machines where one of these is what
cannot be had. What goes in is resolved by the same hooks as everything else; the first layer is the same in
both. An image is an OCI layout in the cache, made once, under a name that follows from what was asked for.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix import __version__
from cog_nix.errors import ImageError
from cog_nix.image import archive_program
from cog_nix.image.description import blob_file
from cog_nix.plugins.spec import PythonRequest, SystemRequest
from cog_nix.store.library import nix_library, package_folder
from cog_nix.system import scratch
from cog_nix.system.platforms import BUILDER
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context, Runtime, SeedFacts, SystemResolution

NAME = "cog-nix-builder"
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
    "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
)
_VOLUME = "/cog-nix"
_WHOLE_ENVIRONMENT = (
    *_ENVIRONMENT,
    f"COG_NIX_STORE={_VOLUME}/store",
    f"COG_NIX_CACHE_DIR={_VOLUME}/cache",
    f"HOME={_VOLUME}/home",
    f"PYTHONPYCACHEPREFIX={_VOLUME}/bytecode",
    "USER=cog-nix",
)
_BESIDE = ("cog_nix_hooks",)
_SCRIPT = """\
#!/usr/bin/python{}
from cog_nix.cli import main

main()
"""


@dataclass(frozen=True)
class Maker:
    """What images are made with."""

    plugins: Plugins
    context: Context
    """Its cache holds the finished images."""

    def builder(self) -> Path:
        """Return the layout of the image that Nix runs in."""
        config = {"Env": list(_ENVIRONMENT), "Labels": {"run.cog.nix.builder": __version__}}
        return self._kept("builder", config, wheels=False)

    def whole(self) -> Path:
        """Return the layout of the image of cog-nix as a whole."""
        config = {
            "Env": list(_WHOLE_ENVIRONMENT),
            "Entrypoint": ["/usr/local/bin/cog-nix"],
            "Cmd": ["--help"],
            "Labels": {"run.cog.nix.builder": __version__},
        }
        return self._kept("whole", config, wheels=True)

    @property
    def _for_here(self) -> Context:
        """The context of packages for this machine, whatever a project's image is for."""
        return replace(self.context, platform=BUILDER)

    def _kept(self, name: str, config: dict[str, Any], *, wheels: bool) -> Path:
        """Return a finished image of this kind, made anew when what goes in has changed."""
        own = _digest_of(package_folder(), nix_library()) if wheels else _digest_of(_script())
        facts = self._facts
        asked = [facts.suite, facts.packages, sorted(facts.unused), config, own, BUILDER.name]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        parent = self.context.cache_dir / "images"
        kept = parent / f"{name}-{key}"
        if not kept.is_dir():
            self._make(kept, config, wheels=wheels)
            for other in parent.glob(f"{name}-*"):
                if other != kept:
                    shutil.rmtree(other, ignore_errors=True)
        return kept

    def _make(self, kept: Path, config: dict[str, Any], *, wheels: bool) -> None:
        self.context.reporter.step(
            "Making an image of cog-nix" if wheels else "Making an image with Nix, from system packages"
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        with scratch.folder("new", kept.parent) as folder:
            request = SystemRequest(suite=self._facts.suite, groups=(("image", self._facts.packages),))
            found = self.plugins.resolve_system_packages(request, self._for_here)
            own = _own_files(folder / "own", self._facts.python) if wheels else None
            spec = {
                "packages": [str(path) for path in self._packages(found)],
                "wheels": [str(path) for path in self._wheels(found)] if wheels else [],
                "folders": [[str(own), "usr/local"]] if own else [],
                "config": config,
            }
            written = folder / "spec.json"
            written.write_text(json.dumps(spec), encoding="utf-8")
            run([sys.executable, "-B", _script(), written, folder / "layout"])
            with suppress(OSError):  # another process was quicker
                (folder / "layout").rename(kept)

    @functools.cached_property
    def _facts(self) -> SeedFacts:
        return self.plugins.describe_builder()

    def _packages(self, found: SystemResolution) -> list[Path]:
        unused = self._facts.unused
        chosen = [deb.artifact for deb in found.groups["image"] if deb.package not in unused]
        files = self.context.fetcher.artifacts(chosen)
        return [files[one.sha256] for one in chosen]

    def _wheels(self, found: SystemResolution) -> list[Path]:
        try:
            wanted = tuple(metadata.requires("cog-nix") or ())
        except metadata.PackageNotFoundError as error:
            raise ImageError(
                "cog-nix is not installed here, so what it needs is not known.",
                hint="Install it (pip install .) and run its cog-nix.",
            ) from error
        glibc = found.versions[self.plugins.describe_system().c_library]
        request = PythonRequest(
            python_version=found.versions[self._facts.packages[0]],
            requirements=wanted,
            glibc=".".join(glibc.split(".")[:2]),
        )
        wheels = self.plugins.resolve_python_packages(request, self._for_here).wheels
        files = self.context.fetcher.artifacts([wheel.artifact for wheel in wheels])
        return [files[wheel.artifact.sha256] for wheel in wheels]


def _script() -> Path:
    return nix_library() / "builders/builder_image.py"


def _digest_of(*places: Path) -> str:
    """Return a hash over the files of these places."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(place)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _own_files(folder: Path, python: str) -> Path:
    """Copy cog-nix as it runs into a folder laid out as ``/usr/local``."""
    site = folder / f"lib/python{python}/dist-packages"
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package_folder(), site / "cog_nix", ignore=unneeded)
    if not (site / "cog_nix/_nix").exists():
        shutil.copytree(nix_library(), site / "cog_nix/_nix", ignore=unneeded)
    for name in _BESIDE:
        module = sys.modules.get(name) or __import__(name)
        shutil.copytree(Path(str(module.__file__)).parent, site / name, ignore=unneeded)
    script = folder / "bin/cog-nix"
    script.parent.mkdir()
    script.write_text(_SCRIPT.format(python), encoding="utf-8")
    script.chmod(0o755)
    return folder


@contextmanager
def program(layout: Path) -> Iterator[Path]:
    """Yield an executable that writes the image, as every runtime loads it."""
    with scratch.folder("image") as folder:
        yield archive_program.program(layout, folder)


def name_of(layout: Path, name: str) -> str:
    """Return a name that this image alone has: the tag is of its id."""
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    found = json.loads((layout / blob_file(manifest)).read_text())
    return f"{name}:{found['config']['digest'].removeprefix('sha256:')[:12]}"


def held(runtime: Runtime, layout: Path, context: Context) -> str:
    """Make the runtime hold the image that Nix runs in; return its name."""
    name = name_of(layout, NAME)
    if runtime.image_id(name) is None:
        with program(layout) as executable:
            runtime.load(executable, [name], context.reporter)
    return name
