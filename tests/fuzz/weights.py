"""Weights on their way here: what a hub tells of its files, and what a registry has as layers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest import mock

import httpx
from hypothesis import strategies as st

from cog_nix.fetch.transport import Transport
from cog_nix.managed import hub, pulling
from cog_nix.managed.source import Surroundings
from cog_nix.registry.client import Repository
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.system.digests import digest_of
from cog_nix.weights import tar
from cog_nix.weights.blob import compressed, head_of
from cog_nix.weights.model import TAR, TAR_GZIP, File, LockedFile, LockedLayer, LockedWeight
from cog_nix.weights.store import WeightsStore
from tests.fuzz.answers import ONCE, Answers, Said, answers_with, served
from tests.fuzz.mutations import contents, encoded, json_texts, texts
from tests.fuzz.parser import Parser

if TYPE_CHECKING:
    from pathlib import Path

_SILENT = SilentReporter()


def _around(folder: Path) -> Surroundings:
    return Surroundings(WeightsStore(folder / "store"), _SILENT, {hub.ENDPOINT: "http://127.0.0.1:1"}, ONCE)


# --- a hub

_COMMIT = "5" * 40
_KEPT = b'{"a": 1}'
_LARGE = bytes(range(250)) * 4
_TREE = [
    {"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"},
    {"type": "file", "oid": "1" * 40, "size": len(_KEPT), "path": "config.json"},
    {
        "type": "file",
        "oid": "2" * 40,
        "size": len(_LARGE),
        "path": "folder/model.safetensors",
        "lfs": {"oid": digest_of(_LARGE), "size": len(_LARGE), "pointerSize": 134},
    },
]
_LINKS = texts(
    '<http://127.0.0.1:1/api/models/org/repo/tree/x?cursor=3>; rel="next"', '</a>; rel="prev", <b>; rel=next'
)


@st.composite
def _hubs(draw: st.DrawFn) -> Answers:
    """Draw the answers to all that an import asks for; each of them may be odd."""
    odd = draw(st.sampled_from(["commit", "tree", "tree", "tree", "link", "files"]))
    commit, tree = (json_texts(one).map(encoded) for one in ({"sha": _COMMIT}, _TREE))
    first = draw(commit) if odd == "commit" else json.dumps({"sha": _COMMIT}).encode()
    pages = [draw(tree)] if odd == "tree" else [json.dumps(_TREE).encode()]
    headers: dict[str, str] = {}
    if odd == "link":
        headers, pages = {"link": draw(_LINKS)}, [*pages, b"[]"]
    files = [draw(contents(one)) if odd == "files" else one for one in (_KEPT, _LARGE)]
    bodies = [first, *pages, *files]
    return [(200, headers if body is pages[0] else {}, body) for body in bodies]


def _imported(answers: Answers, folder: Path) -> object:
    said, around = Said(answers), _around(folder)

    def transport() -> Transport:
        return Transport(_client=httpx.Client(transport=said, follow_redirects=True))

    with mock.patch.object(hub, "Transport", transport):
        source = hub.HubSource("hf://org/repo", around)
        found = source.inventory(None)
        files = source.complete(found.files, None)
        with _SILENT.bytes_bar("", 0) as bar:
            source.bring([one for one in files if not around.store.held(one.digest, one.size)], bar)
    return files


# --- a registry

_PLAIN = LockedFile("folder/model.ckpt", len(_LARGE), digest_of(_LARGE), "")
_SMALL = LockedFile("config.json", len(_KEPT), digest_of(_KEPT), "")


def _member(file: File, data: bytes) -> bytes:
    return head_of(file) + data + tar.padding(file.size)


_TARS = {
    TAR: ((_PLAIN,), _member(_PLAIN, _LARGE) + tar.END),
    TAR_GZIP: ((_SMALL, _PLAIN), _member(_SMALL, _KEPT) + _member(_PLAIN, _LARGE) + tar.END),
}


def _packed(media_type: str, data: bytes) -> bytes:
    return data if media_type == TAR else b"".join(compressed([data], 1))


def _weight(media_type: str, spare: int) -> LockedWeight:
    """Return a weight of one layer, whose size may be such that it does not look like a single file's."""
    files, data = _TARS[media_type]
    blob = _packed(media_type, data)
    layer = LockedLayer(digest_of(blob), media_type, len(blob) + spare, sum(one.size for one in files))
    kept = tuple(LockedFile(one.path, one.size, one.digest, layer.digest) for one in files)
    return LockedWeight("w", "/src/w", digest_of(b""), (), digest_of(b"x"), 0, kept, (layer,))


@st.composite
def _registries(draw: st.DrawFn) -> tuple[LockedWeight, Answers]:
    media_type, spare = draw(st.sampled_from(sorted(_TARS))), draw(st.sampled_from([0, 512]))
    weight = _weight(media_type, spare)
    if draw(st.integers(0, 3)) == 0:
        return weight, draw(answers_with({"errors": [{"code": "DENIED", "message": "no"}]}))
    good = _TARS[media_type][1]
    blob = st.one_of(
        contents(good).map(lambda data: _packed(media_type, data)), contents(_packed(media_type, good))
    )
    status = draw(st.sampled_from([200, 200, 206, 416]))
    return weight, [(200, {}, b"{}"), (200, {}, b""), (status, {}, draw(blob))]


_REFERENCE = Reference("127.0.0.1:1", "me/model", "latest")


def _pulled(drawn: tuple[LockedWeight, Answers], folder: Path) -> object:
    """Pull a weight, and see that the store has no file but those of the lock, whatever came."""
    weight, answers = drawn
    around = _around(folder)
    try:
        with (
            served(answers),
            Repository(_REFERENCE, Credentials(), policy=ONCE, purpose="pull") as repository,
        ):
            return pulling.pull(repository, weight, around)
    finally:
        for path in around.store.files.glob("*/*"):
            assert not path.is_file() or path.suffix or f"sha256:{path.name}" == digest_of(path.read_bytes())


WEIGHTS = (
    Parser("what a hub says of a repository", ("cog_nix/managed/hub",), _hubs(), _imported),
    Parser(
        "any answers of a hub",
        ("cog_nix/managed/hub", "cog_nix/managed/downloads"),
        answers_with({"sha": _COMMIT}, _TREE),
        _imported,
    ),
    Parser("layers of weights", ("cog_nix/managed/pulling",), _registries(), _pulled),
)
