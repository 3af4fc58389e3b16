"""The readers of the core: a project's files, a lock, images, registries, a model's answers, Nix's words."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from cog_nix.archive import artifact
from cog_nix.archive.model import Header
from cog_nix.build import packaged, unchanged
from cog_nix.cdi import document as cdi_document
from cog_nix.cdi import gpus, place
from cog_nix.cdi import hooks as cdi_hooks
from cog_nix.cdi import registry as cdi_registry
from cog_nix.check import declared
from cog_nix.check.drawn import NotDrawableError, draw
from cog_nix.check.interface import compare
from cog_nix.cli.arguments import as_options, command_of, normalize
from cog_nix.config import load, load_settings
from cog_nix.config import requirements as config_requirements
from cog_nix.config.commands import parse as parse_command
from cog_nix.config.dockerenv import ExpansionError, expand
from cog_nix.config.model import Config, Project
from cog_nix.elf import folder as elf_folder
from cog_nix.elf import golang, ldcache, sections
from cog_nix.errors import CogNixError
from cog_nix.fetch import texts as fetched_texts
from cog_nix.fetch.failures import TransientError
from cog_nix.fetch.store import Store
from cog_nix.fetch.transport import Transport
from cog_nix.image import archive_program
from cog_nix.image import description as image
from cog_nix.image.archives import Output
from cog_nix.lock import format as lock_format
from cog_nix.lock import integrity
from cog_nix.lock.model import Artifact
from cog_nix.programs import python as started
from cog_nix.programs import shell
from cog_nix.programs.wheels import programs_of
from cog_nix.project import dockerignore
from cog_nix.project.ignore import Ignore
from cog_nix.registry import cosign, credentials, destination, layout
from cog_nix.registry.memory import Memory
from cog_nix.registry.pull import pull
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.resolve import packages as lock_packages
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.logs import readable
from cog_nix.runtime.outputs import text_of, write_files
from cog_nix.runtime.schema import ApiSchema
from cog_nix.signature import openapi_file
from cog_nix.store import events, failures, objects
from cog_nix.store.paths import hexadecimal
from cog_nix.system import certificate, state
from cog_nix.weights import lock as weights_lock
from cog_nix_hooks.debian.settings import TABLE
from tests.check.models import document
from tests.elf.made import make_elf, make_go, with_sections
from tests.fuzz.answers import ONCE, Answers, answers_with, client_of, served
from tests.fuzz.mutations import contents, encoded, json_texts, texts, values
from tests.fuzz.parser import Parser, in_file
from tests.lock.conftest import make_lock
from tests.registry.conftest import digest_of, write_layout
from tests.registry.pushing import push

if TYPE_CHECKING:
    from pathlib import Path

_SILENT = SilentReporter()

# --- a project's files

_STARTS = """\
import os, shlex, subprocess
FFMPEG = os.environ.get("FFMPEG", "ffmpeg")
class A:
    tool = ["sox", f"-{1}", *"a b".split()]
    def run(self, name="jq"):
        subprocess.run([FFMPEG, "-i", name], check=True)
        os.system("cd /tmp && %s -q {} | tar x".format(name) % self.tool[0])
        subprocess.Popen(shlex.split("timeout 5 wget -q x"), env={})
"""
_SHELL = "set -e; if ! command -v jq; then env A=1 timeout 3 sh -c 'sox \"$1\" | (cat; a)' && $(b) >c; fi"
_ENTRY_POINTS = "[console_scripts]\na = b:c\n[gui_scripts]\nd=e\n"

_YAML = """\
build:
  gpu: true
  python_version: "3.12"
  python_packages: ["numpy==1.26", "torch==2.4.0"]
  system_packages: [ffmpeg]
  run:
    - command: make
      mounts: [{type: secret, id: token, target: /run/secrets/token}]
predict: predict.py:Predictor
image: r8.im/me/model
environment: [A=1]
weights: [{name: w, target: /w, source: {uri: "hf://a/b"}}]
"""
_TOML = """\
[debian]
suite = "trixie"
mirror = "https://mirror.example.org/debian"
snapshot = "2026-01-01"
[python]
exclude-newer = 2026-01-01T00:00:00Z
[nix]
packages = ["./tool.nix#a"]
[layers]
budget = 50
[[check]]
name = "a"
input = { text = "b", n = [1, 2.5] }
pattern = "^a"
[[check]]
near = 1.5
tolerance = 0.1
"""


_DOCUMENT = document(
    {
        "a": {"allOf": [{"$ref": "#/components/schemas/a"}], "default": "x"},
        "b": {"type": "integer", "minimum": 1, "maximum": 9, "exclusiveMaximum": True},
        "c": {"anyOf": [{"type": "array", "items": {"type": "string", "maxLength": 3}}, {"nullable": True}]},
        "d": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    ("a", "b"),
    {"type": "object", "properties": {"e": {"type": "string"}}, "required": ["e"]},
    a={"type": "string", "enum": ["x", "y"]},
)


def _interfaces(data: bytes, _: Path) -> object:
    one, other = ApiSchema(_DOCUMENT), ApiSchema.parse(data)
    component = other.input_component()
    try:
        drawn = list(draw(component, 3, 0, {"a": ["x"]}))
    except NotDrawableError as error:
        drawn = [{"error": str(error)}]
    return [compare(one, other), compare(other, one), drawn]


def _load(path: Path) -> object:
    return load(Project(path.parent, path))


def _settings(path: Path) -> object:
    return load_settings(Project(path.parent, path.parent / "cog.yaml"), [TABLE])


def _ignore(text: str, folder: Path) -> object:
    patterns = dockerignore.parse(encoded(text), ".dockerignore")
    (folder / ".dockerignore").write_bytes(encoded(text))
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c.py").write_text("")
    return patterns, [*Ignore.load(folder).walk()]


_WEIGHTS = {
    "version": 1,
    "created": "2026-01-01T00:00:00Z",
    "weights": [
        {
            "name": "w",
            "target": "/w",
            "digest": "sha256:" + "a" * 64,
            "setDigest": "sha256:" + "b" * 64,
            "size": 1,
            "sizeCompressed": 1,
            "source": {"uri": "hf://a/b", "fingerprint": "x", "include": ["*"], "exclude": []},
            "files": [{"path": "a", "size": 1, "digest": "sha256:" + "a" * 64, "layer": "x"}],
            "layers": [{"digest": "sha256:x", "mediaType": "x", "size": 1}],
        }
    ],
}


def _weights(path: Path) -> object:
    return weights_lock.manifest(weights_lock.read(path.parent))


def _requirements(path: Path) -> object:
    lines = config_requirements.read(path)
    localised, _ = config_requirements.localise(lines, path.parent, path.parent)
    return config_requirements.normalise(config_requirements.meaningful(localised))


REQUIREMENTS = """\
numpy==1.26.4 ; python_version > "3.8"  # comment
--extra-index-url https://user:${TOKEN}@index.example.org/simple
torch @ https://files.example.org/torch-2.0-cp312-cp312-linux_x86_64.whl#sha256=00
-e ./here
git+https://git.example.org/a/b@main#egg=b&subdirectory=x
./dist/one.tar.gz
requests[socks]>=2 \\
    --hash=sha256:0000
"""

PROJECT = (
    Parser("cog.yaml", ("cog_nix/config",), texts(_YAML).map(encoded), in_file("cog.yaml", _load)),
    Parser("cog.yaml bytes", ("cog_nix/config",), contents(_YAML.encode()), in_file("cog.yaml", _load)),
    Parser(
        "an answer that may be a file",
        ("cog_nix/check/declared",),
        st.one_of(texts("data:text/plain;base64,aGVsbG8="), texts("data:,a%20b")),
        lambda text, _: declared.contents(text),
    ),
    Parser(
        "interfaces of two images",
        ("cog_nix/check/interface", "cog_nix/check/drawn"),
        texts(json.dumps(_DOCUMENT)).map(encoded),
        _interfaces,
    ),
    Parser("cog-nix.toml", ("cog_nix/config",), texts(_TOML), in_file("cog-nix.toml", _settings)),
    Parser(
        "cog-nix.toml bytes",
        ("cog_nix/config",),
        contents(_TOML.encode()),
        in_file("cog-nix.toml", _settings),
    ),
    Parser(
        "source that starts programs",
        ("cog_nix/programs",),
        texts(_STARTS).map(encoded),
        lambda data, _: started.read(data),
    ),
    Parser(
        "entry points",
        ("cog_nix/programs",),
        texts(_ENTRY_POINTS),
        lambda text, _: programs_of(["a-1.data/scripts/b"], text),
    ),
    Parser("shell", ("cog_nix/programs",), texts(_SHELL), lambda text, _: list(shell.started_in(text))),
    Parser(
        ".dockerignore", ("cog_nix/project/dockerignore",), texts("**/*.pyc\n!a/b\n[a-z]?\\*\n#x\n"), _ignore
    ),
    Parser("weights.lock", ("cog_nix/weights",), json_texts(_WEIGHTS), in_file("weights.lock", _weights)),
    Parser(
        "requirements.txt",
        ("cog_nix/config",),
        texts(REQUIREMENTS),
        in_file("requirements.txt", _requirements),
        refuses=(OSError, UnicodeDecodeError),
    ),
    Parser(
        "run: command",
        ("cog_nix/config",),
        texts('--mount=type=secret,id=a,target=/x,mode=0400 ["a", "b"]', "--network=host a"),
        lambda text, _: parse_command(text),
    ),
    Parser(
        "run: JSON command", ("cog_nix/config",), json_texts(["a", "b"]), lambda text, _: parse_command(text)
    ),
    Parser(
        "ENV words",
        ("cog_nix/config",),
        texts("a${PATH:-x}b \"$A\" '$B' \\$C"),
        lambda text, _: expand([("A", text)], {"PATH": "/bin"}),
        refuses=(ExpansionError,),
    ),
    Parser(
        "openapi.json",
        ("cog_nix/signature/openapi_file",),
        json_texts({"openapi": "3.0.2", "paths": {"/": {"get": {"$ref": "#/components/a"}}}}),
        in_file("openapi.json", openapi_file.read_document),
    ),
    Parser(
        "COG_CA_CERT",
        ("cog_nix/system/certificate",),
        texts("/etc/ssl/certs", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", "TUlJ"),
        lambda text, _: certificate.read({"COG_CA_CERT": text}),
    ),
)

# --- locks and what is remembered

_SEEDS = (replace(make_lock().seed, platform="linux/arm64"),)
_LOCK = json.loads(lock_format.dump(make_lock(seeds=_SEEDS)))


def _lock(text: str, _: Path) -> object:
    return lock_format.dump(lock_format.load(text, "cog-nix.lock"))


def _sealed(data: dict[str, Any]) -> str:
    return json.dumps({**data, integrity.KEY: integrity.digests(data)})


def _answer(text: str, folder: Path) -> object:
    (folder / "builds").mkdir()
    (folder / "builds/a").write_bytes(encoded(text))
    return unchanged.recall(str(folder), "a")


_KEPT = {
    "format": 1,
    "root": "/",
    "names": [],
    "folders": {},
    "read": {},
    "code": {},
    "files": {},
    "sources": {},
    "links": [],
    "present": [],
    "answer": {"image": "/nix/store/x"},
}
_FLAKE = {"locked": {"type": "github", "owner": "a", "repo": "b", "rev": "c", "narHash": "sha256-x"}}
_LOCKED = {"nodes": {"root": {}, "a": {"locked": {"narHash": f"sha256-{'a' * 43}="}}}}

LOCKS = (
    Parser("cog-nix.lock", ("cog_nix/lock",), json_texts(_LOCK), _lock),
    Parser(
        "cog-nix.lock with digests that fit",
        ("cog_nix/lock",),
        values(_LOCK).filter(lambda one: isinstance(one, dict)).map(_sealed),
        in_file("cog-nix.lock", lambda path: lock_format.read(path, None)),
    ),
    Parser("cog-nix.lock text", ("cog_nix/lock",), texts(lock_format.dump(make_lock(seeds=_SEEDS))), _lock),
    Parser(
        "cog-nix.lock bytes",
        ("cog_nix/lock",),
        contents(lock_format.dump(make_lock()).encode()),
        in_file("cog-nix.lock", lambda path: lock_format.read(path, None)),
    ),
    Parser(".cog/builds", ("cog_nix/build/unchanged",), json_texts(_KEPT), _answer),
    Parser(".cog", ("cog_nix/system/state",), contents(b"sha256"), in_file("a", state.recall)),
    Parser(
        "flake metadata",
        ("cog_nix/resolve/packages",),
        json_texts(_FLAKE),
        lambda text, _: lock_packages._locked_flake(lock_packages._metadata(text, "a#b")),
    ),
    Parser(
        "what Nix says of a flake",
        ("cog_nix/build/packaged",),
        json_texts({**_FLAKE, "locks": _LOCKED}),
        lambda text, _: packaged.Told.parse(text),
    ),
    Parser(
        "hashes in a Nix file",
        ("cog_nix/build/packaged",),
        texts(f'a = "{_LOCKED["nodes"]["a"]["locked"]["narHash"]}"; b = "sha256:0{"z" * 51}";'),
        lambda text, _: [*map(hexadecimal, packaged.pins_of(text))],
    ),
    Parser(
        "flake.lock",
        ("cog_nix/build/packaged",),
        st.one_of(json_texts(_LOCKED).map(encoded), contents(json.dumps(_LOCKED).encode())),
        in_file("flake.lock", lambda path: [*map(hexadecimal, packaged.inputs_of(path.parent))]),
    ),
)

# --- images

_DESCRIPTION = {
    "config": json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}}),
    "layers": [
        {
            "name": "a",
            "diff_id": "sha256:" + "a" * 64,
            "size": 1024,
            "parts": [{"path": "/nix/store/x/files.tar", "offset": 0, "size": 512}],
        }
    ],
    "tag": "a:b",
}
_MANIFEST = {
    "schemaVersion": 2,
    "config": {"digest": "sha256:" + "c" * 64, "size": 88_888, "mediaType": "a"},
    "layers": [{"digest": "sha256:" + "d" * 64, "size": 3, "mediaType": "b"}],
}
_CONFIG = {"os": "linux", "config": {"Env": ["A=1"]}, "rootfs": {"diff_ids": ["sha256:" + "e" * 64]}}


def _described(text: str, folder: Path) -> object:
    path = folder / "image"
    path.write_bytes(b"#!/bin/sh\n\n__IMAGE__\n" + encoded(text))
    found = image.ImageDescription.read(path)
    return found.size, found.diff_ids, [layer.fragments for layer in found.layers]


@st.composite
def _layouts(draw: st.DrawFn) -> tuple[str, str, str]:
    """Draw index, manifest and configuration of a layout; one of them is odd."""
    notes = {"org.opencontainers.image.ref.name": "a:b"}
    index = {"manifests": [{"digest": "sha256:" + "f" * 64, "size": 77_777, "annotations": notes}]}
    good = [index, _MANIFEST, _CONFIG]
    odd = draw(st.integers(0, 2))
    return tuple(  # type: ignore[return-value]
        draw(json_texts(one)) if number == odd else json.dumps(one) for number, one in enumerate(good)
    )


def _write_layout(drawn: tuple[str, str, str], folder: Path) -> None:
    """Write a layout whose digests and sizes are right, as far as what was drawn names them."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    (blobs / ("d" * 64)).write_bytes(b"abc")
    index, manifest, config = map(encoded, drawn)
    for letter, size, named in ((b"c", b"88888", config), (b"f", b"77777", b"")):
        data = named or manifest
        digest = digest_of(data).removeprefix("sha256:")
        (blobs / digest).write_bytes(data)
        manifest, index = (
            one.replace(letter * 64, digest.encode()).replace(size, b"%d" % len(data))
            for one in (manifest, index)
        )
    (folder / "index.json").write_bytes(index)


def _layout(drawn: tuple[str, str, str], folder: Path) -> object:
    _write_layout(drawn, folder)
    return layout.read(folder)


def _foreign_layout(drawn: tuple[str, str, str], folder: Path) -> object:
    _write_layout(drawn, folder)
    with archive_program.opened(folder) as opened:
        return opened.described()


IMAGES = (
    Parser("built image", ("cog_nix/image",), json_texts(_DESCRIPTION), _described),
    Parser("OCI layout", ("cog_nix/registry",), _layouts(), _layout),
    Parser("OCI layout to load", ("cog_nix/image/archive_program",), _layouts(), _foreign_layout),
    Parser(
        "-o",
        ("cog_nix/image/archives",),
        texts("oci:a", "oci-archive:a.tar"),
        lambda text, _: Output.parse(text),
    ),
)

# --- registries

_REFERENCE = Reference("127.0.0.1:1", "me/model", "latest")
_KNOWN = credentials.Credentials("ali", "open sesame")


def _pull(answers: Answers, folder: Path) -> object:
    with served(answers):
        return pull(_REFERENCE, _KNOWN, folder=folder, held=lambda _: False, reporter=_SILENT, policy=ONCE)


def _push(answers: Answers, folder: Path) -> object:
    made = layout.read(write_layout(folder / "layout", [b"abc"]))
    target = destination.Destination("x", _REFERENCE)
    with served(answers):
        return push(made, target, _KNOWN, cache=folder / "cache", reporter=_SILENT, policy=ONCE)


_ARTIFACT = {
    "schemaVersion": 2,
    "artifactType": artifact.ARTIFACT,
    "config": {"mediaType": artifact.CONFIG, "digest": digest_of(Header().dump()), "size": 40},
    "layers": [{"mediaType": artifact.FILE, "digest": "sha256:" + "a" * 64, "size": 3, "annotations": {}}],
    "subject": {"mediaType": "x", "digest": "sha256:" + "b" * 64, "size": 3},
}
_REFERRERS = {"manifests": [{"digest": "sha256:" + "c" * 64, "artifactType": artifact.ARTIFACT}]}


def _kept(answers: Answers, folder: Path) -> object:
    with served(answers):
        found = artifact.RegistryArchive(_REFERENCE, _KNOWN, _SILENT, cache=folder, policy=ONCE)
        wanted = [Artifact("a.deb", "", "a" * 64, 3)]
        return found.supply(wanted, Store(folder / "store")), found.damaged(wanted)


def _fetch(answers: Answers, folder: Path) -> object:
    transport = Transport(_client=client_of(answers))
    cache = fetched_texts.TextCache(folder, ONCE)
    return cache.get("https://host.example.org/a", 0, transport)


_DOCKER_CONFIG = {
    "auths": {"r.example.org": {"auth": "YTpi", "identitytoken": "t"}},
    "credsStore": "",
    "credHelpers": {"x.example.org": "none-such"},
}


def _credentials(text: str, folder: Path) -> object:
    (folder / "config.json").write_bytes(encoded(text))
    return credentials.find("r.example.org", {"DOCKER_CONFIG": str(folder), "PATH": "/nowhere"})


def _memory(text: str, folder: Path) -> object:
    (folder / "registries").mkdir()
    (folder / "registries/r.json").write_bytes(encoded(text))
    known = Memory(folder, "r")
    known.add(Reference("r", "a/b", "c"), ["sha256:x"])
    return known.sources("sha256:x", "a/c")


def _destination(drawn: dict[str, str], _: Path) -> object:
    config = Config.__new__(Config)
    object.__setattr__(config, "model", drawn.pop("model"))
    object.__setattr__(config, "image", drawn.pop("image"))
    return destination.resolve(config, drawn.pop("target") or None, drawn)


_NAMES = texts("registry.example.org:5000/me/model:tag", "me/model@sha256:" + "a" * 64, "[::1]:5000/a/b")
_REGISTRY_BODIES = (
    _MANIFEST,
    _CONFIG,
    {"manifests": [{"digest": "sha256:x", "platform": {"os": "linux", "architecture": "amd64"}}]},
    {"errors": [{"code": "DENIED", "message": "no"}]},
    {"token": "abc", "expires_in": 60},
)

REGISTRIES = (
    Parser("registry pull", ("cog_nix/registry",), answers_with(*_REGISTRY_BODIES), _pull),
    Parser("registry push", ("cog_nix/registry",), answers_with(*_REGISTRY_BODIES), _push),
    Parser(
        "archive in a registry",
        ("cog_nix/archive", "cog_nix/registry"),
        answers_with(_ARTIFACT, _REFERRERS, {"format": 1, "programs": {}}, *_REGISTRY_BODIES),
        _kept,
    ),
    Parser("download", ("cog_nix/fetch",), answers_with({}), _fetch, refuses=(TransientError,)),
    Parser(
        "kept download",
        ("cog_nix/fetch",),
        contents(b'{"fetched": 1, "etag": "", "last_modified": ""}\nx'),
        in_file("a", fetched_texts._read),
    ),
    Parser(
        "URL",
        ("cog_nix/fetch",),
        texts("https://user:pass@host.example.org:80/a/b.whl?x#y", "file:///a", "git+ssh://a"),
        lambda text, folder: fetched_texts.TextCache(folder, ONCE).get(
            text, 0, Transport(_client=client_of([(404, {}, b"")]))
        ),
    ),
    Parser("Docker's config.json", ("cog_nix/registry",), json_texts(_DOCKER_CONFIG), _credentials),
    Parser("pushed before", ("cog_nix/registry",), json_texts({"sha256:x": ["a/b"]}), _memory),
    Parser(
        "cosign's answer",
        ("cog_nix/registry",),
        json_texts([{"critical": {"type": "https://sigstore.dev/cosign/sign/v1"}, "optional": {}}]),
        lambda text, _: cosign.verified(text),
    ),
    Parser("image reference", ("cog_nix/registry",), _NAMES, lambda text, _: Reference.parse(text)),
    Parser(
        "COG_MODEL*",
        ("cog_nix/registry",),
        st.fixed_dictionaries(
            {"model": _NAMES, "image": _NAMES, "target": _NAMES},
            optional=dict.fromkeys(
                ("COG_MODEL", "COG_MODEL_REGISTRY", "COG_MODEL_REPO", "COG_MODEL_TAG", "COG_REGISTRY_HOST"),
                _NAMES,
            ),
        ),
        _destination,
    ),
)

# --- a running model

_SCHEMA = {
    "components": {
        "schemas": {
            "Input": {
                "properties": {
                    "text": {"type": "string", "pattern": "^a", "maxLength": 3},
                    "n": {"type": "integer", "minimum": 0, "allOf": [{"$ref": "#/components/schemas/N"}]},
                    "image": {"type": "string", "format": "uri", "nullable": True},
                    "many": {"type": "array", "items": {"type": "number"}},
                },
                "required": ["text"],
            },
            "N": {"enum": [1, 2]},
            "Output": {"type": "array", "items": {"type": "string", "format": "uri"}},
        }
    },
    "openapi": "3.0.2",
}
_FLAGS = st.lists(
    texts("text=a", "n=1", "image=@/etc/hostname", "many=1", 'text="a"', "x=@", "many=[1, 2]"), max_size=3
)
_OUTPUTS = ("data:text/plain;base64,aGk=", ["data:image/png;base64,aGk="], {"a": [1, 1e300, None]}, 1e-7)


def _inputs(drawn: tuple[list[str], str, dict[str, Any]], _: Path) -> object:
    flags, text, document = drawn
    return prepare_inputs(read_inputs(flags, text), ApiSchema(document))


def _schema(text: str, _: Path) -> object:
    parsed = ApiSchema.parse(encoded(text))
    outcome = [parsed.has_inputs(), parsed.output(), parsed.input_component()]
    return prepare_inputs(read_inputs(["text=a", "n=1", "many=2"]), parsed), outcome


def _output(drawn: tuple[Any, Any], folder: Path) -> object:
    output, document = drawn
    shape = ApiSchema(document).output()
    return write_files(output, shape, folder / "output", lambda _: None), text_of(output, shape)


def _served_model(drawn: tuple[int, bytes], _: Path) -> object:
    asked = ModelClient("http://127.0.0.1:1")
    asked._request = lambda *_args, **_options: drawn  # type: ignore[method-assign]
    found: list[object] = []
    for ask in (asked.health, asked.schema, lambda: asked.predict({"a": 1}).public()):
        try:
            found.append(ask())
        except CogNixError as error:
            found.append(error.shown())
    return found


MODELS = (
    Parser(
        "-i and --json",
        ("cog_nix/runtime",),
        st.one_of(
            st.tuples(_FLAGS, st.just(""), st.just(_SCHEMA)),
            st.tuples(_FLAGS, st.just(""), values(_SCHEMA).filter(lambda one: isinstance(one, dict))),
            st.tuples(
                st.just([]), json_texts({"text": "a", "n": 1, "image": "@/etc/hostname"}), st.just(_SCHEMA)
            ),
            st.tuples(st.just([]), texts("@/etc/hostname", "@/dev/null"), st.just(_SCHEMA)),
        ),
        _inputs,
    ),
    Parser("OpenAPI document", ("cog_nix/runtime",), json_texts(_SCHEMA), _schema),
    Parser(
        "prediction's output",
        ("cog_nix/runtime",),
        st.one_of(
            st.tuples(values(*_OUTPUTS), st.just(_SCHEMA)),
            st.tuples(
                texts(str(_OUTPUTS[0])),
                st.just({"components": {"schemas": {"Output": {"type": "string", "format": "uri"}}}}),
            ),
            st.tuples(st.just(_OUTPUTS[1]), values(_SCHEMA).filter(lambda one: isinstance(one, dict))),
        ),
        _output,
    ),
    Parser(
        "model's HTTP answers",
        ("cog_nix/runtime",),
        st.tuples(
            st.sampled_from([200, 422, 500]),
            st.one_of(
                json_texts(
                    {
                        "status": "succeeded",
                        "output": "a",
                        "metrics": {"predict_time": 1},
                        "logs": "",
                        "setup": {},
                    },
                    {"detail": [{"loc": ["body", "input", "a"], "msg": "no"}]},
                ).map(encoded),
                st.binary(max_size=20),
            ),
        ),
        _served_model,
    ),
    Parser(
        "model's log lines",
        ("cog_nix/runtime",),
        json_texts({"level": "info", "fields": {"message": "a"}, "target": "x"}),
        lambda text, _: readable(text),
    ),
)

# --- this machine

_CDI = {
    "cdiVersion": "0.6.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {
            "name": "0",
            "containerEdits": {
                "deviceNodes": [
                    {"path": "/dev/nvidia0", "hostPath": "/dev/zero", "major": 1, "fileMode": 438}
                ]
            },
        }
    ],
    "containerEdits": {
        "env": ["A=1"],
        "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/a", "options": ["ro"]}],
        "hooks": [
            {
                "hookName": "createContainer",
                "path": "/x/nvidia-cdi-hook",
                "args": ["nvidia-cdi-hook", "chmod", "--mode", "755", "--path", "/a"],
            },
            {
                "hookName": "createContainer",
                "path": "/x/nvidia-cdi-hook",
                "args": ["nvidia-cdi-hook", "create-symlinks", "--link", "a::/b"],
            },
        ],
    },
}


def _cdi(text: str, folder: Path) -> object:
    (folder / "a.json").write_bytes(encoded(text))
    found = cdi_registry.Registry.read([folder])
    edits = found.edits(found.names("nvidia.com/gpu") and ["nvidia.com/gpu=0"])
    return place.archive(cdi_hooks.without(edits, all_of_them=True).placement, b"")


@dataclass
class _File:
    content: bytes

    def at(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


_ELF = make_elf("libc.so.6", "libm.so.6", soname="libx.so.1", runpath="$ORIGIN", padding=64)
_CACHE = ldcache.write(ldcache.Cache((ldcache.Library("libc.so.6", "/lib/libc.so.6"),), b"x", ("a",)))
_NIX = (
    {"action": "start", "id": 1, "type": 105, "fields": ["/nix/store/x-a.drv"]},
    {"action": "result", "id": 1, "type": 101, "fields": ["line"]},
    {"action": "msg", "level": 0, "raw_msg": "no", "msg": "no"},
)

_PATH = f"/nix/store/{'a' * 32}-b"
_REGISTERED = f"{_PATH}\n{'0' * 64}\n120\n\n1\n{_PATH}\n"
_SIGNED = f"{_PATH}\tultimate ca:fixed:r:sha256:x key:signature\n"


def _nix(lines: list[str], _: Path) -> object:
    with events.watch(_SILENT) as log:
        for line in lines:
            log.feed(f"@nix {line}")
    return failures.explain(log.errors(), log.failed_log(), log.failed_name())


MACHINE = (
    Parser("CDI document", ("cog_nix/cdi",), json_texts(_CDI), _cdi),
    Parser(
        "CDI YAML",
        ("cog_nix/cdi",),
        texts("cdiVersion: 0.6.0\nkind: a.b/c\ndevices: [{name: x, containerEdits: {env: [A=1]}}]\n"),
        lambda text, folder: cdi_document.parse(text, folder / "a.yaml"),
    ),
    Parser(
        "--gpus",
        ("cog_nix/cdi",),
        texts("all", "2", "device=0,GPU-x"),
        lambda text, _: gpus.GpuRequest.parse(text).qualified(),
    ),
    Parser("ELF", ("cog_nix/elf",), contents(_ELF), in_file("a.so", elf_folder.read_file)),
    Parser(
        "ELF's sections",
        ("cog_nix/elf/sections",),
        contents(with_sections(_ELF, (".nv_fatbin", bytes(64)))),
        lambda data, _: sections.without_text(_File(data)),
    ),
    Parser(
        "ld.so.cache",
        ("cog_nix/elf",),
        contents(_CACHE),
        lambda data, _: ldcache.reduced(data, lambda _: False),
        refuses=(ldcache.NotACacheError,),
    ),
    Parser(
        "Go program",
        ("cog_nix/elf/golang",),
        contents(make_go("mod\texample.org/tool\tv1\ndep\tx\tv2\n=>\ty\tv3\n")),
        lambda data, _: golang.modules(io.BytesIO(data)),
    ),
    Parser(
        "what Nix says of store paths",
        ("cog_nix/store",),
        st.tuples(texts(_REGISTERED), texts(_SIGNED)),
        lambda said, _: [one.narinfo("a").encode() for one in objects.read(*said)],
    ),
    Parser("Nix's events", ("cog_nix/store",), st.lists(json_texts(*_NIX), max_size=4), _nix),
    Parser(
        "command line",
        ("cog_nix/cli",),
        st.lists(texts("build", "-t", "a:b", "--json", "-i", "x=1", "--"), max_size=5),
        lambda words, _: (normalize(words), as_options(words), command_of(words)),
    ),
)

CORE = (*PROJECT, *LOCKS, *IMAGES, *REGISTRIES, *MODELS, *MACHINE)
