"""Images that are compared, and what is in them; what two runs of a command leave."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from cog_nix.compare import find, images, inventory, subject
from cog_nix.compare.diff import diff
from cog_nix.explain.report import layer_names
from cog_nix.image import tars
from cog_nix.run_commands import causes
from cog_nix_hooks.debian.database import DPKG
from tests.compare.samples import configuration, image
from tests.explain.samples import SYSTEM, distribution
from tests.explain.samples import tar as layer_of
from tests.fuzz.mutations import contents, encoded, json_texts, texts
from tests.fuzz.parser import Parser

if TYPE_CHECKING:
    from pathlib import Path

# --- layers

_FILES = {
    "var/lib/dpkg/status": SYSTEM["var/lib/dpkg/status"],
    **distribution("one", "1", "numpy", one__a_py=b"x = 1\n"),
    "usr/bin/tool": b"t" * 600,
}
_LAYER = layer_of(_FILES)


def _pax_layer() -> bytes:
    """Return a layer with what stands in extended headers, and with links."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, kind in (("a" * 200, tarfile.REGTYPE), ("b", tarfile.SYMTYPE), ("c", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = kind, "" if kind == tarfile.REGTYPE else "a" * 200, 0.5
            info.pax_headers = {"SCHILY.xattr.user.a": "b", "size": "3"} if kind == tarfile.REGTYPE else {}
            info.size = 3 if kind == tarfile.REGTYPE else 0
            made.addfile(info, io.BytesIO(b"abc"))
    return sink.getvalue()


_PAX_LAYER = _pax_layer()


def _sparse_layer() -> bytes:
    """Return a layer of GNU's, with a long name and a sparse file (tar manual, "Extensions")."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as made:
        made.addfile(tarfile.TarInfo("d/" * 70 + "x"))
    info = tarfile.TarInfo("var/lib/dpkg/status")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (512, 512)  # one part: 512 bytes at 512
    header[483:495] = b"%011o\0" % 1024  # its real size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return sink.getvalue()[: -tarfile.RECORDSIZE] + bytes(header) + b"x" * 512 + bytes(1024)


_SPARSE_LAYER = _sparse_layer()


def _with_checksums(data: bytes) -> bytes:
    """Make the checksums of headers right again, so that what was changed in them is read."""
    found = bytearray(data)
    for start in range(0, len(found) - 511, 512):
        block = found[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            found[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    return bytes(found)


@st.composite
def _filled(draw: st.DrawFn) -> bytes:
    """Draw a layer, one of whose files is odd."""
    files = dict(_FILES)
    changed = draw(st.sampled_from(sorted(files)))
    files[changed] = draw(contents(files[changed]))
    return layer_of(files)


_LAYERS = st.one_of(
    _filled(),
    contents(_LAYER, _PAX_LAYER, _SPARSE_LAYER),
    contents(_LAYER, _PAX_LAYER, _SPARSE_LAYER).map(_with_checksums),
)
_FROZEN = texts("numpy==2.2\n-e git+https://host.example.org/a@b#egg=one\ntwo @ file:///two\n")


def _told(drawn: tuple[bytes, str | None], _: Path) -> object:
    """Return what has come since an image of good layers."""
    layer, frozen = drawn
    labels = {} if frozen is None else {"run.cog.pip_freeze": frozen}
    old, new = (
        inventory.of_image(image(*layers, Labels=labels), DPKG) for layers in ([_LAYER], [_LAYER, layer])
    )
    return json.dumps(diff(old, new).plain())


def _compared_layers(layer: bytes, folder: Path) -> object:
    first, second = (partial(io.BytesIO, one) for one in (_LAYER, layer))
    return [str(one) for one in tars.compare(first, second, folder)]  # type: ignore[arg-type]


_OPTIONS: dict[str, Any] = {
    "Env": ["A=1"],
    "Labels": {"a": "b", "run.cog.pip_freeze": "numpy==2.2"},
    "User": "me",
}
_CONFIGURATION = configuration([_LAYER], **_OPTIONS)


def _compared_configurations(text: str, _: Path) -> object:
    first = image(_LAYER, **_OPTIONS)
    config = subject.parsed(encoded(text), "image")
    second = subject.Subject("image", "sha256:x", config, first.layers, first.open)
    return images.compare(first, second).plain(), second.labels, inventory.of_image(second, DPKG)


@st.composite
def _archives(draw: st.DrawFn) -> bytes:
    """Draw an archive whose layer or configuration is odd."""
    if draw(st.booleans()):
        return _archive(
            _LAYER, draw(json_texts(_CONFIGURATION, {"history": [{"created_by": "x"}], **_CONFIGURATION}))
        )
    packed = draw(_LAYERS.flatmap(lambda layer: st.sampled_from([layer, gzip.compress(layer)])))
    return _archive(draw(st.one_of(st.just(packed), contents(packed))), json.dumps(_CONFIGURATION))


def _archive(layer: bytes, config: str) -> bytes:
    manifest = [{"Config": "config.json", "RepoTags": ["a:b"], "Layers": ["0.tar"]}]
    files = {"0.tar": layer, "config.json": encoded(config), "manifest.json": json.dumps(manifest).encode()}
    return layer_of(files)


def _from_archive(data: bytes, folder: Path) -> object:
    """Read all that is asked of an image in an archive."""
    path = folder / "image.tar"
    path.write_bytes(data)
    with find.from_file(path) as found:
        told = images.compare(image(_LAYER, **_OPTIONS), found).plain(), layer_names(found), found.labels
        return told, inventory.of_image(found, DPKG)


_ARCHIVE = _archive(_LAYER, json.dumps(_CONFIGURATION))

# --- two runs of a command

_JSON = '{"made": "2026-12-02T10:00:01Z", "a": [1, 2], "b": {"c": "0123456789abcdef"}}'


def _zip(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(zipfile.ZipInfo(name), name * 9)
    return sink.getvalue()


_LEFT = st.one_of(
    contents(_JSON.encode()),
    json_texts(json.loads(_JSON)).map(encoded),
    contents(_zip("a", "b"), _zip("b", "a")),
    contents(gzip.compress(b"a", mtime=1)),
    contents(b"Wed Dec  2 00:25:01 UTC 2026\ntmp.a1b2c3d4 0x7f00aa11 a b c\n"),
)
_TWO = st.one_of(
    st.tuples(_LEFT, _LEFT),
    _LEFT.flatmap(lambda data: st.tuples(st.just(data), contents(data))),
    _LEFT.map(lambda data: (data, data)),
)


def _caused(drawn: tuple[bytes, bytes], folder: Path) -> object:
    """Tell two results apart, each with one file in it."""
    for name, data in zip(("first", "second"), drawn, strict=True):
        (folder / name).mkdir()
        (folder / name / "files.tar").write_bytes(layer_of({"opt/made": data, f"opt/{name}": b"x"}))
        (folder / name / "directories.tar").touch()
    found = causes.compare(folder / "first", folder / "second")
    return list(causes.Unsteady("cog.yaml:1", "make", found).lines())


_ARCHIVE_BYTES = contents(_ARCHIVE)

COMPARED = (
    Parser(
        "what is in an image",
        ("cog_nix/compare",),
        st.tuples(_LAYERS, st.one_of(st.none(), _FROZEN)),
        _told,
    ),
    Parser("layers that are compared", ("cog_nix/image/tars",), _LAYERS, _compared_layers),
    Parser(
        "configuration of an image that is compared",
        ("cog_nix/compare",),
        json_texts(_CONFIGURATION),
        _compared_configurations,
    ),
    Parser("parts of an archive that is compared", ("cog_nix/compare",), _archives(), _from_archive),
    Parser(
        "archive that is compared",
        ("cog_nix/compare",),
        st.one_of(_ARCHIVE_BYTES, _ARCHIVE_BYTES.map(_with_checksums)),
        _from_archive,
    ),
    Parser("what two runs leave", ("cog_nix/run_commands/causes",), _TWO, _caused),
)
