"""Puts a bill of materials together.

The lock knows hashes, places and reasons; the image's files know licences, and what commands and packages
have brought along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix import __version__
from cog_nix.bom import licences
from cog_nix.bom.contents import OS_RELEASE
from cog_nix.bom.model import Bill, Component, Document, Licence, purl
from cog_nix.config.requirements import normalised
from cog_nix.image.databases import distribution
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from email.message import Message

    from cog_nix.bom.contents import Contents
    from cog_nix.elf.golang import Module
    from cog_nix.lock.model import Artifact, Lock, Wheel

_RUN = re.compile(r"run-(\d+)")
_PYPROJECT_METADATA = ("METADATA", "PKG-INFO")
_STORE = re.compile(r"[0-9a-z]{32}-(?P<name>.+?)(?:-(?P<version>\d[^-]*(?:-[^-]+)*))?")
_COPIED = re.compile(r"(?P<name>lib.+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[\w.]+))?")
_BILLS = (".cdx.json", ".spdx.json")
_MOST_DESCRIBED = 300


@dataclass(frozen=True)
class Sources:
    """What a bill is made from."""

    name: str
    """Of the image."""
    lock: Lock
    lock_digest: str
    """``sha256:…`` of its file."""
    contents: Contents
    reasons: Mapping[str, Sequence[str]]
    """Why each of the lock's packages is there, by member of a layer (``deb:NAME``)."""
    managed: Sequence[tuple[str, str, int]] = ()
    """Weights beside the image: name, hash over its files (``sha256:…``), bytes."""
    image: str = ""
    """``sha256:…`` of the image's configuration; "": it is not made yet."""


def collect(sources: Sources) -> tuple[Bill, tuple[Document, ...]]:
    """Return what is in an image, and the bills that its packages have brought."""
    lock, contents = sources.lock, sources.contents
    system = _system(contents)
    found = [
        *([system] if system.name else []),
        *_system_packages(sources, system),
        *_interpreter(lock),
        *_python(sources),
        *_node(contents),
        *_go(sources),
        *_windows(contents),
        *_libraries(contents, sources),
        *_commands(lock),
        *_store_paths(contents),
        *_large(sources),
    ]
    layers = {member: name for name, members in lock.layers for member in members}
    by_key = {one.key: one for one in found}
    components = [_placed(one, layers, by_key) for one in sorted(by_key.values(), key=lambda one: one.key)]
    dates = [index.date for index in lock.indexes]
    bill = Bill(
        name=sources.name,
        lock=sources.lock_digest,
        created=max(dates, default="1970-01-01T00:00:00Z"),
        tool=__version__,
        components=tuple(components),
        image=sources.image,
    )
    return bill, tuple(_documents(sources, components))


def _placed(one: Component, layers: Mapping[str, str], known: Mapping[str, Component]) -> Component:
    depends = tuple(sorted(key for key in set(one.depends) if key in known and key != one.key))
    return replace(one, depends=depends, layer=layers.get(one.key, one.layer))


def _system(contents: Contents) -> Component:
    """Return what the image's system is: as os-release(5) says, or to the point release where that is told.

    Scanners need it: which holes a package has depends on the release. They write ``debian-13.8`` themselves.
    """
    text = contents.texts.get(OS_RELEASE)
    lines = text.data.decode("utf-8", "replace").splitlines() if text else []
    said = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    point = contents.texts.get(contents.database.release)
    version = contents.database.point_release(point.data.decode("utf-8", "replace")) if point else ""
    return Component(
        "system",
        "system",
        said.get("ID", ""),
        version or said.get("VERSION_ID", ""),
        homepage=said.get("HOME_URL", ""),
        description=said.get("PRETTY_NAME", ""),
        asked=("it is the base system",),
        layer=text.layer if text else "",
    )


def _system_packages(sources: Sources, system: Component) -> Iterator[Component]:
    """Yield the system packages."""
    locked = {deb.package: deb for deb in sources.lock.installed}
    database = sources.contents.database
    index = sources.contents.texts.get(database.index)
    kind, namespace = database.purl
    for one in database.installed(index.data if index else b""):
        name, version = one.name, one.version
        deb = locked.get(name)
        ours = deb if deb and deb.version == version else None
        key = f"deb:{name}"
        licence = sources.contents.copyright(name).decode("utf-8", "replace")
        yield Component(
            key,
            "deb",
            name,
            version,
            purl=purl(
                kind,
                namespace,
                name,
                version,
                arch=one.architecture,
                distro="-".join(filter(None, (system.name, system.version))),
                upstream="@".join(filter(None, (one.source, one.source_version))),
            ),
            licence=licences.all_of(database.licences(licence)),
            source=(one.source or name, one.source_version or version),
            supplier=one.supplier,
            homepage=one.homepage,
            description=one.description,
            depends=tuple(f"deb:{name}" for name in ours.depends) if ours else (),
            asked=tuple(sources.reasons.get(key, ())) if ours else ("a command of cog.yaml installed it",),
            layer=index.layer if index and not ours else "",
            **_file(ours.artifact if ours else None),
        )


def _file(artifact: Artifact | None) -> dict[str, Any]:
    return {"sha256": artifact.sha256, "url": artifact.url} if artifact else {}


def _interpreter(lock: Lock) -> Iterator[Component]:
    """Yield a Python that is no Debian package."""
    one = lock.interpreter
    if one.artifact:
        yield Component(
            "interpreter",
            "interpreter",
            "python",
            one.version,
            purl=purl(
                "generic",
                "",
                "python",
                one.version,
                checksum=f"sha256:{one.artifact.sha256}",
                download_url=one.artifact.url,
            ),
            licence=Licence("PSF-2.0"),
            paths=(one.executable.lstrip("/"),),
            asked=("it is the image's interpreter",),
            **_file(one.artifact),
        )


def _python(sources: Sources) -> Iterator[Component]:
    """Yield Python's distributions: the lock's, and whatever else has metadata of one."""
    locked = {wheel.name: wheel for wheel in sources.lock.wheels}
    seen: set[str] = set()
    for path, text in sorted(sources.contents.texts.items()):
        if not path.endswith(_PYPROJECT_METADATA) and not path.endswith(".egg-info"):
            continue
        known = distribution(text.data)
        if known is None:
            continue
        name, version, _ = known
        wheel = locked.get(name)
        ours = wheel if wheel and wheel.version == version and _is_installed(path) else None
        if ours:
            seen.add(name)
        yield _distribution(sources, path, text.layer, known, ours)
    for name in locked.keys() - seen:  # a wheel without metadata that can be read
        yield Component(
            f"wheel:{name}", "pypi", name, locked[name].version, **_of_wheel(locked[name], sources)
        )


def _is_installed(path: str) -> bool:
    """Whether metadata lies where installers put it, not inside of another distribution."""
    return PurePosixPath(path).parent.parent.name in {"site-packages", "dist-packages"}


def _distribution(
    sources: Sources, path: str, layer: str, known: tuple[str, str, Message], wheel: Wheel | None
) -> Component:
    name, version, message = known
    inside = "" if wheel else _owner(path, sources)
    described: dict[str, Any] = (
        _of_wheel(wheel, sources)
        if wheel
        else {"purl": purl("pypi", "", name, version), "asked": (_origin(path, layer, inside),)}
    )
    return Component(
        f"wheel:{name}" if wheel else f"file:{path}",
        "pypi",
        name,
        version,
        licence=licences.of_metadata(message),
        supplier=str(message.get("Author-Email") or message.get("Author") or ""),
        homepage=_homepage(message),
        description=str(message.get("Summary") or "")[:_MOST_DESCRIBED],
        inside=inside,
        paths=(str(PurePosixPath(path).parent),),
        layer=layer,
        **described,
    )


def _of_wheel(wheel: Wheel, sources: Sources) -> dict[str, Any]:
    artifact, key = wheel.artifact, f"wheel:{wheel.name}"
    source = wheel.source
    qualifiers = {}
    if wheel.origin or (source and source.kind in {"git", "folder"}):
        qualifiers["vcs_url" if source and source.kind == "git" else "download_url"] = artifact.url
    elif artifact.filename:
        qualifiers["file_name"] = artifact.filename
    return {
        "purl": purl("pypi", "", wheel.name, wheel.version, **qualifiers),
        "depends": tuple(f"wheel:{one}" for one in wheel.depends),
        "asked": tuple(sources.reasons.get(key, ())),
        **_file(artifact),
    }


def _homepage(message: Message) -> str:
    if found := message.get("Home-page"):
        return str(found)
    for one in message.get_all("Project-URL", []):
        label, _, url = str(one).partition(",")
        if label.strip().lower() in {"homepage", "home", "home-page"}:
            return url.strip()
    return ""


def _owner(path: str, sources: Sources) -> str:
    """Return the key of the distribution whose folder a path is in; "" where nothing tells."""
    parts = PurePosixPath(path).parts
    for place in ("site-packages", "dist-packages"):
        if place in parts and len(parts) > parts.index(place) + 2:
            folder = normalised(parts[parts.index(place) + 1])
            if any(wheel.name == folder for wheel in sources.lock.wheels):
                return f"wheel:{folder}"
    return ""


def _origin(path: str, layer: str, inside: str) -> str:
    if inside:
        return f"{inside.partition(':')[2]} brings it, at {path}"
    if command := _RUN.fullmatch(layer):
        return f"command {int(command[1]) + 1} of cog.yaml left it, at {path}"
    return f"it comes with {layer}, at {path}"


def _node(contents: Contents) -> Iterator[Component]:
    """Yield what has a ``package.json`` with a name and a version: parts of web pages, as a rule."""
    for path, text in sorted(contents.texts.items()):
        if not path.endswith("package.json"):
            continue
        try:
            data = jsonvalue.loads(text.data)
        except ValueError:
            continue
        if not isinstance(data, dict):
            continue
        name, version = data.get("name"), data.get("version")
        if not (isinstance(name, str) and name and isinstance(version, str) and version):
            continue
        scope, _, base = name.rpartition("/")
        licence = data.get("license")
        yield Component(
            f"file:{path}",
            "npm",
            name,
            version,
            purl=purl("npm", scope, base, version),
            licence=licences.of_text(licence) if isinstance(licence, str) else Licence(),
            asked=(_origin(path, text.layer, ""),),
            paths=(path,),
            layer=text.layer,
        )


def _go(sources: Sources) -> Iterator[Component]:
    """Yield the modules of Go programs, each version once."""
    found: dict[Module, dict[str, str]] = {}
    for path, (modules, layer) in sorted(sources.contents.programs.items()):
        for module in modules:
            found.setdefault(module, {})[path] = layer
    for module, programs in found.items():
        path, layer = next(iter(programs.items()))
        inside = _owner(path, sources)
        namespace, _, name = module.path.lower().rpartition("/")
        yield Component(
            f"golang:{module.path}@{module.version}",
            "golang",
            module.path,
            module.version,
            purl=purl("golang", namespace, name, module.version),
            asked=(_origin(path, layer, inside),),
            inside=inside,
            paths=tuple(programs),
            layer=layer,
        )


def _windows(contents: Contents) -> Iterator[Component]:
    """Yield programs and libraries for Windows, which some packages bring."""
    for path, text in sorted(contents.texts.items()):
        if not path.lower().endswith((".exe", ".dll")):
            continue
        name, version = (_resource(text.data, key) for key in ("ProductName", "ProductVersion"))
        if text.data.startswith(b"MZ"):
            yield Component(
                f"file:{path}",
                "other",
                name or PurePosixPath(path).stem,
                version,
                asked=(_origin(path, text.layer, ""),),
                paths=(path,),
                layer=text.layer,
            )


def _libraries(contents: Contents, sources: Sources) -> Iterator[Component]:
    """Yield shared libraries that were copied into a wheel: auditwheel puts a hash into their names."""
    for path, layer in sorted(contents.libraries.items()):
        found = _COPIED.fullmatch(PurePosixPath(path).name)
        folder = normalised(PurePosixPath(path).parent.name.removesuffix(".libs"))
        inside = f"wheel:{folder}" if any(one.name == folder for one in sources.lock.wheels) else ""
        yield Component(
            f"file:{path}",
            "other",
            found["name"] if found else PurePosixPath(path).name,
            (found["version"] or "") if found else "",
            asked=(_origin(path, layer, inside),),
            inside=inside,
            paths=(path,),
            layer=layer,
        )


def _resource(data: bytes, key: str) -> str:
    """Return a string of a version resource (Microsoft, "VS_VERSIONINFO", "String"); "": there is none."""
    marked = f"{key}\0".encode("utf-16-le")
    place = data.find(marked)
    if place < 0:
        return ""
    start = place + len(marked)
    start += -(start - place + 6) % 4  # a header of three words, then the key, padded
    end = data.find(b"\0\0", start)
    end += (end - start) % 2
    return data[start:end].decode("utf-16-le", "replace").strip("\0 ")


def _commands(lock: Lock) -> Iterator[Component]:
    """Yield what commands left behind, as wholes."""
    for number, run in enumerate(lock.runs):
        yield Component(
            f"run:{number}",
            "command",
            f"command-{number + 1}",
            run.nar_sha256,
            description=run.command[:_MOST_DESCRIBED],
            asked=(f"it is command {number + 1} of cog.yaml",),
        )


def _store_paths(contents: Contents) -> Iterator[Component]:
    """Yield the paths of Nix's store, by their names (Nix manual, "Store Path")."""
    for path, layer in sorted(contents.store_paths.items()):
        found = _STORE.fullmatch(path)
        name, version = (found["name"], found["version"] or "") if found else (path, "")
        yield Component(
            f"nix:{path}",
            "nix",
            name,
            version,
            purl=purl("nix", "", name, version, outputhash=path.partition("-")[0]),
            paths=(f"nix/store/{path}",),
            asked=("a package of cog-nix.toml needs it, or is it",),
            layer=layer,
        )


def _large(sources: Sources) -> Iterator[Component]:
    for path, (sha256, layer) in sorted(sources.contents.large.items()):
        yield Component(
            f"file:{path}",
            "file",
            PurePosixPath(path).name,
            sha256=sha256,
            paths=(path,),
            asked=("it is a file of the project's",),
            layer=layer,
        )
    for name, digest, size in sources.managed:
        yield Component(
            f"weights:{name}",
            "weights",
            name,
            sha256=digest.removeprefix("sha256:"),
            description=f"{size} bytes, beside the image",
            asked=("cog.yaml names it under weights",),
        )


def _documents(sources: Sources, components: Sequence[Component]) -> Iterator[Document]:
    """Yield the bills that distributions bring: JSON in ``.dist-info/sboms`` (PEP 770), or named as one."""
    owners = {one.paths[0]: one.key for one in components if one.kind == "pypi" and one.paths}
    for path, text in sorted(sources.contents.texts.items()):
        folder, _, name = path.partition("/sboms/")
        if not (name and folder.endswith(".dist-info")) and not path.endswith(_BILLS):
            continue
        try:
            data = jsonvalue.loads(text.data)
        except ValueError:
            continue  # no bill in a format that is known here
        if isinstance(data, dict) and ("bomFormat" in data or "spdxVersion" in data):
            yield Document(path, owners.get(folder) or _owner(path, sources), data)
