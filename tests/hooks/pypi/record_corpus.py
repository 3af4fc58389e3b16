"""Record ``corpus.json.xz`` anew: ``python -m tests.hooks.pypi.record_corpus INDEX PROJECTS FOLDER``.

``INDEX`` is the base URL of an index of Python packages (PEP 691), ``PROJECTS`` a JSON list of
``{"python": "3.11", "gpu": true, "lines": ["torch==2.6.0", …]}``, or the former recording; ``FOLDER`` keeps
what was fetched. uv asks a server on loopback, which asks the index and remembers what was asked for;
projects that cannot be resolved are left out. Of two hundred projects the first run takes an hour.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from cog_nix.errors import LockError
from cog_nix_hooks.pypi.tree import read_tree

from . import beside, corpus
from .corpus import Entry, Project, Recorded

_JSON = "application/vnd.pypi.simple.v1+json"
_FITS = re.compile(
    r"-(py3|py2\.py3|cp3\d+|cp\S+)-(none|abi3|cp3\d+)-(any|\S*manylinux\S*x86_64\S*|linux_x86_64)\.whl$"
)
_METADATA = re.compile(r"^[^/]+\.dist-info/METADATA$")
_KEPT = re.compile(r"(Metadata-Version|Name|Version|Requires-Dist|Requires-Python|Provides-Extra):")
_LARGEST_SOURCE = 15_000_000
"""Bytes of a source that is read for what it requires; a larger one requires nothing here."""
_AT_ONCE = 4
_TAIL = 1 << 16
_MOVES = "cuda-toolkit[cupti]==12.*"


@dataclass
class Upstream:
    """An index, asked once for everything."""

    base: str
    folder: Path
    pages: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Metadata that was asked for, by file."""

    def page(self, name: str) -> list[Entry] | None:
        """Return the files that an image may take; of what is source only, a wheel that stands for it."""
        if name not in self.pages:
            try:
                found = json.loads(self._get(urljoin(self.base, f"{name}/"), {"Accept": _JSON}))["files"]
            except urllib.error.HTTPError:
                return None
            self.pages[name] = _files(name, found)
        return [
            Entry(file, row.get("requires-python"), bool(row.get("yanked")))
            for file, row in self.pages[name].items()
        ]

    def metadata(self, filename: str) -> str | None:
        """Return what a file's metadata say of dependencies."""
        kept = self.folder / f"m-{filename}"
        if not kept.exists():
            name = re.sub("[-_.]+", "-", filename.partition("-")[0]).lower()
            self.page(name)
            row = self.pages[name][filename]
            text = self._source(name, filename, row) if _is_source(row) else self._wheel(row)
            kept.write_text(text)
        self.texts[filename] = kept.read_text()
        return self.texts[filename]

    def _wheel(self, row: dict[str, Any]) -> str:
        with zipfile.ZipFile(io.BufferedReader(_Remote(row["url"], row["size"]), _TAIL)) as archive:
            name = next(filter(_METADATA.match, archive.namelist()))
            head = archive.read(name).decode("utf-8", "replace").replace("\r", "").partition("\n\n")[0]
        return "".join(f"{line}\n" for line in head.split("\n") if _KEPT.match(line))

    def _source(self, name: str, filename: str, row: dict[str, Any]) -> str:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {filename.split('-')[1]}"]
        if row.get("requires-python"):
            lines.append(f"Requires-Python: {row['requires-python']}")
        for requirement in self._dependencies(row):
            lines += [f"Requires-Dist: {' '.join(requirement.split())}"]
            lines += [
                f"Provides-Extra: {extra}"
                for extra in re.findall(r"extra\s*==\s*[\"']([^\"']+)", requirement)
            ]
        return "\n".join([*lines, ""])

    def _dependencies(self, row: dict[str, Any]) -> tuple[str, ...]:
        if row["size"] > _LARGEST_SOURCE:
            return ()
        with tempfile.NamedTemporaryFile(suffix=row["filename"]) as file:
            file.write(self._get(row["url"], {}))
            file.flush()
            try:
                return read_tree(Path(file.name), "", row["filename"]).dependencies or ()
            except LockError:
                return ()

    def _get(self, url: str, headers: dict[str, str]) -> bytes:
        kept = self.folder / hashlib.sha256(url.encode()).hexdigest()
        if not kept.exists():
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - whoever calls names it
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                kept.write_bytes(answer.read())
        return kept.read_bytes()


class _Remote(io.RawIOBase):
    """A file on a server, read in ranges (RFC 9110, section 14)."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._size - self._at)
        if size <= 0:
            return 0
        headers = {"Range": f"bytes={self._at}-{self._at + size - 1}"}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = answer.read()
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _files(name: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    wheels = [row for row in rows if row["filename"].endswith(".whl")]
    found = {row["filename"]: row for row in wheels if _FITS.search(row["filename"])}
    built = {row["filename"].split("-")[1] for row in wheels}
    for row in rows:
        try:
            _, version = parse_sdist_filename(row["filename"])
        except (InvalidSdistFilename, ValueError):
            continue
        if str(version) not in built:
            found[f"{name.replace('-', '_')}-{version}-py3-none-any.whl"] = row
    return found


def _is_source(row: dict[str, Any]) -> bool:
    return not row["filename"].endswith(".whl")


def _projects(path: Path) -> list[Project]:
    if path.suffix == ".xz":
        return corpus.load()[0]
    return [Project(one["python"], one["gpu"], tuple(one["lines"])) for one in json.loads(path.read_text())]


def _try(project: Project, index: Upstream, url: str, root: Path) -> Project | None:
    try:
        tried = beside.attempt(project, index, url, root, hostile=True)
    except LockError as error:
        print("left out:", error.message.splitlines()[-1][:100], file=sys.stderr)  # noqa: T201
        return None
    # What a package of another CUDA moves when it may: that has to be there to be seen.
    request = beside.question(project, url, root)
    with suppress(LockError):
        beside.resolve(replace(request, requirements=(*request.requirements, _MOVES)))
    print("recorded:", len(tried.own.wheels), tried.warnings, file=sys.stderr)  # noqa: T201
    return project


def main(base: str, projects: str, folder: str) -> None:
    """Record."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    index = Upstream(f"{base.rstrip('/')}/", root)
    os.environ["UV_CACHE_DIR"] = str(root / "uv")
    with corpus.serve(index) as url, ThreadPoolExecutor(_AT_ONCE) as crew:
        attempt = partial(_try, index=index, url=url, root=root)
        fitting = [one for one in crew.map(attempt, _projects(Path(projects))) if one]
    asked = {
        name: [one for one in index.page(name) or [] if one.filename in index.texts] for name in index.pages
    }
    corpus.FILE.write_bytes(corpus.dump(fitting, Recorded(asked, index.texts)))
    print(len(fitting), "projects,", len(index.texts), "files", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
