"""The readers of the built-in plugins."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from cog_nix.config import complete, parse
from cog_nix_hooks.bundle.images import ImageStore
from cog_nix_hooks.bundle.users import find_user
from cog_nix_hooks.debian import pins, relations, release, sources, wanted
from cog_nix_hooks.debian.contents import open_contents
from cog_nix_hooks.debian.packages import Catalogue, open_index
from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.docker import checks, endpoint, engine, images, prune
from cog_nix_hooks.pypi import indexes, lines, projects, pylock
from cog_nix_hooks.pypi.lines import parse as parse_lines
from cog_nix_hooks.standalone import uv as standalone
from tests.fuzz.core import REQUIREMENTS
from tests.fuzz.mutations import contents, encoded, json_texts, texts, values
from tests.fuzz.parser import Parser, in_file

if TYPE_CHECKING:
    from pathlib import Path


# --- Debian

_PACKAGES = f"""\
Package: curl
Version: 7.88.1-10+deb12u1
Architecture: amd64
Priority: optional
Installed-Size: 500
Depends: libc6 (>= 2.34), libcurl4 (= 7.88.1-10) | libcurl5:any [amd64] <!nocheck>
Provides: c-url (= 7), fetcher
Conflicts: old-curl (<< 1)
Filename: pool/main/c/curl/curl_7.88.1_amd64.deb
Size: 315000
SHA256: {"a" * 64}

Package: libc6
Essential: yes
Version: 1:2.36-9
Filename: pool/main/g/glibc/libc6_2.36-9_amd64.deb
Size: 1
SHA256: {"b" * 64}
"""


def _packages(text: str, folder: Path) -> object:
    path = folder / "Packages"
    path.write_bytes(encoded(text))
    index = open_index(path, sha256="x", uri="https://mirror.example.org/debian", cache_dir=folder)
    with Catalogue("trixie", (index,), (("stable", "trixie"),)) as catalogue:
        found = [
            one for name in catalogue.names for one in (*catalogue.named(name), *catalogue.providing(name))
        ]
        for one in found:
            for clause in one.depends:
                [relation.accepts(one.version) for relation in clause]
        return [(one.depends, one.provides, one.rejects, catalogue.essential()) for one in found]


_RELEASE = f"""\
Suite: stable
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC
Acquire-By-Hash: yes
SHA256:
 {"a" * 64} 100 main/binary-amd64/Packages.xz
"""


_INRELEASE = b"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Suite: stable
-----BEGIN PGP SIGNATURE-----

iQ==
-----END PGP SIGNATURE-----
"""


def _release(text: str, _: Path) -> object:
    """Read what a signature covers, as if one did."""
    former = release._verified
    release._verified = lambda *_: encoded(text)
    try:
        found = release.read_release(b"", url="u", asked="trixie", keyring=release.SHIPPED)
    finally:
        release._verified = former
    return found.packages("main", "amd64")


def _signed(data: bytes, _: Path) -> object:
    return release.read_release(data, url="u", asked="trixie", keyring=release.SHIPPED)


def _contents(data: bytes, folder: Path) -> object:
    with open_contents(data, sha256="x", cache_dir=folder) as found:
        return found.packages("libGL.so.1")


_SOURCES = """\
Types: deb
URIs: https://mirror.example.org/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


_PYPROJECT = """\
[project]
name = "a"
requires-python = ">=3.10"
dependencies = ["torch==2.4.0", "b"]
[project.optional-dependencies]
x = ["c"]
[dependency-groups]
dev = ["d", {include-group = "e"}]
[tool.uv]
default-groups = ["dev"]
no-build-isolation-package = ["f"]
"""
_UV_LOCK = """\
version = 1
requires-python = ">=3.10"
[[package]]
name = "torch"
version = "2.4.0"
dependencies = [{name = "b", marker = "x"}]
"""


def _python_project(data: tuple[str, str], folder: Path) -> object:
    for name, text in zip(("pyproject.toml", "uv.lock"), data, strict=True):
        (folder / name).write_bytes(encoded(text))
    config = 'build:\n  python_requirements: pyproject.toml\n  python_version: "3.12"\n  gpu: true\n'
    loaded = complete(parse(config), folder)
    lines = parse_lines(loaded.build.requirements, "pyproject.toml")
    named = projects.named(lines, ("x",), None, folder)
    return named, projects._requirers(projects._load(folder / "uv.lock").get("package"))


def _apt(drawn: tuple[str, str], folder: Path) -> object:
    (folder / "sources.list.d").mkdir()
    (folder / f"sources.list.d/a{drawn[0]}").write_bytes(encoded(drawn[1]))
    return sources.find_archive(DebianSettings(), {}, folder, folder / "none")


def _pins(text: str, folder: Path) -> object:
    (folder / "programs").mkdir()
    (folder / "programs/pins.json").write_bytes(encoded(text))
    found = pins.current(folder)
    return found and (found.plain(), [found.digest(name) for name in found.programs])


_PIN = {
    "package": "a",
    "version": "1",
    "archive": "main",
    "path": "pool/a.deb",
    "sha256": "a" * 64,
    "size": 1,
}
_PINS = {
    "date": "2026",
    "instead_of": pins._identity(pins._read(pins.PINS_FILE)),
    "programs": {name: [_PIN] for name in pins.PACKAGES},
}

DEBIAN = (
    Parser("Packages", ("hooks/cog_nix_hooks/debian/packages",), texts(_PACKAGES), _packages),
    Parser(
        "Packages bytes",
        ("hooks/cog_nix_hooks/debian/packages",),
        contents(gzip.compress(_PACKAGES.encode(), mtime=0), _PACKAGES.encode()),
        lambda data, folder: (
            _packages(data.decode("latin-1"), folder)
            if data[:2] != b"\x1f\x8b"
            else open_index(_kept(folder, data), sha256="x", uri="u", cache_dir=folder)
        ),
    ),
    Parser("Release", ("hooks/cog_nix_hooks/debian/release",), texts(_RELEASE), _release),
    Parser(
        "InRelease",
        ("hooks/cog_nix_hooks/debian/release",),
        contents(_INRELEASE),
        _signed,
    ),
    Parser(
        "Contents",
        ("hooks/cog_nix_hooks/debian/contents",),
        st.one_of(
            contents(gzip.compress(b"usr/lib/libGL.so.1 libs/libgl1\n", mtime=0)),
            contents(b"usr/lib/x86_64-linux-gnu/libGL.so.1   libs/libgl1,a/b\n\xff/b c\n").map(gzip.compress),
        ),
        _contents,
    ),
    Parser(
        "Python project",
        ("cog_nix/config/python_project", "hooks/cog_nix_hooks/pypi/projects"),
        st.tuples(texts(_PYPROJECT), texts(_UV_LOCK)),
        _python_project,
    ),
    Parser(
        "apt's sources",
        ("hooks/cog_nix_hooks/debian/sources",),
        st.tuples(st.just(".sources"), texts(_SOURCES))
        | st.tuples(
            st.just(".list"), texts("deb [signed-by=/debian-archive] mirror+file:/etc/hosts trixie main\n")
        ),
        _apt,
    ),
    Parser(
        "mirrors.json",
        ("hooks/cog_nix_hooks/debian/sources",),
        json_texts({"mirror": "a", "security_mirror": "b"}),
        in_file("a", sources._default),
    ),
    Parser(
        "relations",
        ("hooks/cog_nix_hooks/debian/relations",),
        texts("a (>= 1) | b:any [amd64] <!x>, c"),
        lambda text, _: relations.parse_clauses(text),
        refuses=(relations.RelationError,),
    ),
    Parser(
        "system_packages",
        ("hooks/cog_nix_hooks/debian/wanted",),
        texts("curl=7.88*", "a:amd64/stable", "'a b'"),
        lambda text, _: [wanted.Wanted.parse(word) for word in wanted.words(text)],
        refuses=(wanted.WantedError,),
    ),
    Parser("programs' pins", ("hooks/cog_nix_hooks/debian/pins",), json_texts(_PINS), _pins),
)


def _kept(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


# --- Python's packages

_PYLOCK = {
    "lock-version": "1.0",
    "created-by": "uv",
    "packages": [
        {
            "name": "numpy",
            "version": "1",
            "wheels": [
                {
                    "url": "https://h.example.org/numpy-1-py3-none-any.whl",
                    "size": 1,
                    "hashes": {"sha256": "a"},
                }
            ],
        },
        {"name": "b", "vcs": {"type": "git", "url": "https://h.example.org/b", "commit-id": "c"}},
        {"name": "c", "archive": {"path": "./c.tar.gz", "hashes": {"sha256": "a"}}},
        {"name": "d", "directory": {"path": "d"}},
    ],
}


def _lines(text: str, _: Path) -> object:
    found = lines.parse(text.split("\n"), "requirements.txt", {"TOKEN": "x", "HOME": "/nowhere"})
    return [
        (lines.requirement_name(one), lines.requirement_of(one), lines.shown(one))
        for one in found.requirements
    ]


def _toml(value: object) -> str:
    """Write a value as TOML, which has inline tables for all of it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value) if value is not None else '""'


PYTHON = (
    Parser("requirement lines", ("hooks/cog_nix_hooks/pypi/lines",), texts(REQUIREMENTS), _lines),
    Parser(
        "pylock.toml",
        ("hooks/cog_nix_hooks/pypi/pylock",),
        values(_PYLOCK)
        .filter(lambda one: isinstance(one, dict))
        .map(lambda one: "\n".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in one.items())),
        in_file("pylock.toml", lambda path: pylock.read_pylock(path, path.parent)),
    ),
    Parser(
        "pylock.toml text",
        ("hooks/cog_nix_hooks/pypi/pylock",),
        texts(
            'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "a"\ndirectory = {path = "a"}\n'
        ),
        in_file("pylock.toml", lambda path: pylock.read_pylock(path, path.parent)),
    ),
    Parser(
        "annotated requirements",
        ("hooks/cog_nix_hooks/pypi/pylock",),
        texts("a==1  # via b, c[d]\n"),
        lambda text, _: pylock.read_requirers(text, ()),
    ),
    Parser(
        "pip.conf",
        ("hooks/cog_nix_hooks/pypi/indexes",),
        texts("[global]\nindex-url = https://u:p@h.example.org/simple\n"),
        in_file(
            "pip.conf", lambda path: indexes.pip_config({"PIP_CONFIG_FILE": str(path), "HOME": "/nowhere"})
        ),
    ),
    Parser(
        "uv.toml",
        ("hooks/cog_nix_hooks/pypi/indexes",),
        texts('index-url = "https://h.example.org"\n[pip]\na = 1\n'),
        in_file("uv.toml", lambda path: indexes.uv_has_indexes({"UV_CONFIG_FILE": str(path)})),
    ),
)

# --- Docker and the daemonless runtime

_IMAGE = {
    "Id": "sha256:a",
    "RepoTags": ["a:b"],
    "RootFS": {"Layers": ["sha256:x"]},
    "Config": {"Labels": {images.LABEL: "x"}},
    "Created": "1970-01-01T00:00:00Z",
    "GraphDriver": {"Name": "overlay2"},
    "Manifests": [{"Available": True}],
}
_INFO = {
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "ServerVersion": "20.10",
    "Architecture": "x86_64",
    "DockerRootDir": "/",
    "Runtimes": {"nvidia": {}},
    "CDISpecDirs": ["/etc/cdi"],
    "DiscoveredDevices": [{"ID": "a"}],
}


def _daemon(drawn: tuple[int, list[str]], _: Path) -> object:
    """Ask a daemon that always says the same."""
    status, said = drawn
    asked = engine.Engine(endpoint.Endpoint("unix:///nowhere"))
    asked._send = lambda *_: (status, b"\n".join(map(encoded, said)))
    found = images.Images(asked)
    image = found.find("a:b")
    outcome: list[object] = [image and image.layers, image and found.is_whole(image), found.store]
    outcome += [
        *found.built_here(),
        asked.post("/x"),
        [*checks.describe(asked.get("/info") or {}, has_driver=True)],
    ]
    prune.remove_replaced(found, [image], "x")
    return outcome


_CONTEXT = {"Endpoints": {"docker": {"Host": "unix:///x", "SkipTLSVerify": False}}}


def _context(drawn: tuple[str, str], folder: Path) -> object:
    meta = folder / "contexts/meta/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    meta.mkdir(parents=True)
    (folder / "config.json").write_bytes(encoded(drawn[0]))
    (meta / "meta.json").write_bytes(encoded(drawn[1]))
    environment = {"DOCKER_CONFIG": str(folder)}
    return endpoint.find_endpoint(environment), endpoint.files(environment)


def _held(text: str, folder: Path) -> object:
    (folder / "images").mkdir()
    (folder / "images/a.json").write_bytes(encoded(text))
    found = ImageStore(folder)._read("sha256:a")
    return found and (found.labels, found.diff_ids)


def _user(drawn: tuple[str, str], folder: Path) -> object:
    (folder / "etc").mkdir()
    for name in ("passwd", "group"):
        (folder / f"etc/{name}").write_bytes(encoded(drawn[1]))
    return find_user(drawn[0], [folder])


def _builds(text: str, _: Path) -> object:
    former = standalone._run
    standalone._run = lambda *_: SimpleNamespace(stdout=text, stderr="", returncode=0)  # type: ignore[assignment]
    try:
        return standalone.builds({})
    finally:
        standalone._run = former


RUNTIMES = (
    Parser(
        "Docker's answers",
        ("hooks/cog_nix_hooks/docker/engine", "hooks/cog_nix_hooks/docker/failures"),
        st.tuples(
            st.sampled_from([200, 200, 404, 500]),
            st.one_of(
                json_texts(_IMAGE, _INFO, [_IMAGE], {"error": "x", "errorDetail": {"message": "x"}}).map(
                    lambda text: [text]
                ),
                st.lists(json_texts({"stream": "a"}), max_size=2),
            ),
        ),
        _daemon,
    ),
    Parser(
        "Docker's contexts",
        ("hooks/cog_nix_hooks/docker/endpoint",),
        st.tuples(json_texts({"currentContext": "x"}), st.just(json.dumps(_CONTEXT)))
        | st.tuples(st.just('{"currentContext": "x"}'), json_texts(_CONTEXT)),
        _context,
    ),
    Parser(
        "images to remove",
        ("hooks/cog_nix_hooks/docker/prune",),
        json_texts({"host": ["sha256:x"]}),
        in_file("a", prune._read),
    ),
    Parser(
        "images of the daemonless runtime",
        ("hooks/cog_nix_hooks/bundle/images",),
        json_texts({"id": "sha256:a", "diff_ids": ["sha256:x"], "config": {"Labels": {}}}),
        _held,
    ),
    Parser(
        "passwd and group",
        ("hooks/cog_nix_hooks/bundle/users",),
        st.tuples(texts("me:1", "0"), texts("me:x:1:1:a:/home:/bin/sh\n", "grp:x:5:\n")),
        _user,
    ),
    Parser(
        "uv's list of Pythons",
        ("hooks/cog_nix_hooks/standalone/uv",),
        json_texts(
            [
                {
                    "key": "cpython-3.12",
                    "version": "3.12.1",
                    "url": "https://h.example.org/a.tar.gz",
                    "os": "linux",
                    "arch": "x86_64",
                    "libc": "gnu",
                    "implementation": "cpython",
                    "variant": "default",
                }
            ]
        ),
        _builds,
    ),
)

HOOKS = (*DEBIAN, *PYTHON, *RUNTIMES)
