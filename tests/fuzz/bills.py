"""Readers of what packages in an image say of themselves, for bills of materials."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from cog_nix.bom import contents as bill_contents
from cog_nix.bom.collect import Sources, collect
from cog_nix.bom.contents import Text
from cog_nix_hooks.bundle import bound
from cog_nix_hooks.debian.database import DPKG
from tests.bom.conftest import made_contents, made_lock
from tests.explain.samples import tar as layer_of
from tests.fuzz.mutations import contents, json_texts
from tests.fuzz.parser import Parser, in_file

if TYPE_CHECKING:
    from pathlib import Path

_FOUND = made_contents()
_TEXTS = {path: text.data for path, text in _FOUND.texts.items()}
_JSON = [path for path in _TEXTS if path.endswith(".json")]


@st.composite
def _files(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw the files that tell of packages; one of them is odd."""
    path = draw(st.sampled_from(sorted(_TEXTS)))
    if path in _JSON and draw(st.booleans()):
        odd = draw(json_texts(json.loads(_TEXTS[path]))).encode("utf-8", "surrogatepass")
    else:
        odd = draw(contents(_TEXTS[path]))
    return {**_TEXTS, path: odd}


def _collected(files: dict[str, bytes], _: Path) -> object:
    texts = {path: Text(data, _FOUND.texts[path].layer) for path, data in files.items()}
    return collect(Sources("cog-demo", made_lock(), "sha256:lock", replace(_FOUND, texts=texts), {}))


def _layer(data: bytes, _: Path) -> object:
    found = bill_contents.Contents(DPKG)
    bill_contents._read_layer(found, "layer", io.BytesIO(data))
    return found


BILLS = (
    Parser(
        "files that tell of packages",
        ("cog_nix/bom/collect", "hooks/cog_nix_hooks/debian/copyright"),
        _files(),
        _collected,
    ),
    Parser(
        "layer that is looked through",
        ("cog_nix/bom/contents",),
        contents(layer_of({**_TEXTS, "src/.wh.gone": b"", "srv/.wh..wh..opq": b""})),
        _layer,
        (tarfile.TarError, EOFError, OSError),  # which `read` explains
    ),
    Parser(
        "files that containers are shown",
        ("hooks/cog_nix_hooks/bundle/bound",),
        json_texts([["/home/me/model.bin", "src/model.bin", [1, 2, 3, 4, 5]]]),
        in_file("bound.json", bound.read),
        (ValueError,),
    ),
)
