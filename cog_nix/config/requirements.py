"""pip requirement lines: read from a file, and brought into the form that a resolver takes.

The format is pip's (pip documentation, "Requirements File Format"). What upstream refuses is refused, for the
same
reasons: local folders, ``-r`` to a local file and options on local archives cannot reach its build either.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from cog_nix.config.problem import Problem
from cog_nix.system.regular import read_bytes

_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_LIFTED = {
    "--extra-index-url": "--extra-index-url",
    "--find-links": "--find-links",
    "-f": "--find-links",
    "--index-url": "--index-url",
    "-i": "--index-url",
    "--trusted-host": "--trusted-host",
}
"""Options that concern the whole resolution wherever they stand, by any of their names."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Line:
    """A requirement or an option, and where it stands."""

    number: int
    text: str


def normalised(name: str) -> str:
    """Return a Python package's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path) -> list[Line]:
    """Read a requirements file: continuations joined; comments, blanks and ``-e .`` gone.

    Args:
        path: the file; UTF-8, or UTF-16 as PowerShell's ``>`` writes it.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    content = read_bytes(path)
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    lines: list[Line] = []
    pending: tuple[int, str] | None = None
    for number, raw in enumerate(content.decode(encoding).split("\n"), start=1):
        start, text = (pending[0], pending[1] + raw) if pending else (number, raw)
        text = text.removesuffix("\r")
        pending = (start, text[:-1]) if text.endswith("\\") else None
        if not pending:
            lines.append(Line(start, text))
    if pending:
        lines.append(Line(*pending))
    return meaningful(lines)


def meaningful(lines: list[Line]) -> list[Line]:
    """Return lines without comments, blanks and ``-e .`` (the project itself is in the image anyway)."""
    kept = (Line(line.number, _without_comment(line.text)) for line in lines)
    return [line for line in kept if line.text and not re.fullmatch(r"-e\s+\.", line.text)]


def normalise(lines: list[Line]) -> tuple[str, ...]:
    """Bring lines into the form of a requirements file: options first, one each, then the requirements.

    In ``python_packages`` people write ``torch==1.11.0 --extra-index-url=URL``. pip ignores an option there,
    upstream lifts it out, and so does this.
    """
    options: dict[str, None] = {}
    requirements: list[str] = []
    for line in lines:
        requirement, lifted = _split(line.text)
        options.update(dict.fromkeys(lifted))
        if requirement.startswith("-"):
            options[requirement] = None
        elif requirement:
            requirements.append(requirement)
    return (*options, *requirements)


def localise(lines: list[Line], folder: Path, root: Path) -> tuple[list[Line], list[Problem]]:
    """Rewrite local archives as paths relative to the project, and find what cannot be installed.

    Args:
        lines: of a requirements file.
        folder: where the file is; its paths are relative to this.
        root: the project.

    Returns:
        The lines (``./dist/x.whl``, ready for a resolver that runs in ``root``), and what is wrong with some.
    """
    result: list[Line] = []
    problems: list[Problem] = []
    for line in lines:
        refusal = _refusal(line.text)
        if refusal:
            other = _OTHER_FILE.match(line.text)
            advice = f"Copy the lines of {other[1]} into this file" if other else _LOCAL_ADVICE
            problems.append(Problem(line.number, f"{refusal}: {line.text}", advice))
        elif not is_archive(line.text):
            result.append(line)
        else:
            path, trouble = _archive(line.text, folder, root)
            if trouble:
                problems.append(
                    Problem(
                        line.number, f'local Python package artifact "{line.text}" {trouble}', _LOCAL_ADVICE
                    )
                )
            result.append(Line(line.number, path))
    return result, problems


_LOCAL_ADVICE = (
    "List an archive by its bare path, relative to this file and in the project: ./dist/mine-1.0.tar.gz"
)
_OTHER_FILE = re.compile(r"(?:-r|--requirement)[=\s]*(\S+)")


def is_archive(text: str) -> bool:
    """Return whether a line is the bare path of a local wheel or source archive."""
    return not _is_remote(text) and not text.startswith("-") and text.lower().endswith(_ARCHIVES)


def _archive(text: str, folder: Path, root: Path) -> tuple[str, str]:
    """Return an archive's path relative to the project, and what is wrong with it, if anything."""
    path, inside = Path(folder, text), root.resolve()
    try:
        resolved = path.resolve()
        found = resolved.exists()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links that lead in a circle
        found = False
    if not found:
        return text, "not found"
    if not resolved.is_file():
        return text, "must be a regular file"
    staged = path.parent.resolve() / path.name
    if not (resolved.is_relative_to(inside) and staged.is_relative_to(inside)):
        return text, "must be inside the project directory"
    return f"./{staged.relative_to(inside).as_posix()}", ""


def _refusal(text: str) -> str:
    """Return why upstream refuses a line, or nothing."""
    name, at, target = (part.strip() for part in text.partition("@"))
    is_name = bool(at and re.fullmatch(r"[\w.-]+(\[[^\]]+\])?", name, re.ASCII))
    if text.lower().startswith("file:") or (is_name and target.lower().startswith("file:")):
        return "local file URL requirements are not supported"
    spaced = re.search(r"\s@|@\s", text)
    if is_name and (_is_path(target) or (spaced and is_archive(target))):
        return "local direct reference requirements (name @ path) are not supported"
    option = re.match(r"(--find-links|--requirement)(?:=|\s+)(.+)|(-f|-r)\s*(.+)", text)
    if option:
        value = option[2] or option[4]
        if value.lower().startswith("file:") or not _is_remote(value):
            return f'local requirements option "{option[1] or option[3]}" is not supported'
        return ""
    return "" if text.startswith("-") else _refused_archive(text)


def _refused_archive(text: str) -> str:
    head = re.match(r"(.+?)\s+(--|-f\b|-r\b)", text)
    if head and _is_local(head[1]):
        return "local package artifact requirements do not support inline options or hashes"
    if _is_remote(text):
        return ""
    if _is_local(text.partition(";")[0].strip()) and ";" in text:
        return "environment markers are not supported on local package artifact requirements"
    if text.endswith("]") and _is_local(text.partition("[")[0].strip()):
        return "extras are not supported on local package artifact requirements"
    return (
        "this is not a supported wheel or source archive" if _is_path(text) and not is_archive(text) else ""
    )


def _is_local(text: str) -> bool:
    return not _is_remote(text) and (_is_path(text) or is_archive(text))


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../"))


def _is_remote(text: str) -> bool:
    return "://" in text or text.startswith("git+")


def _without_comment(text: str) -> str:
    """Cut off a comment. A # begins one at the start or behind a blank (pip); in a URL, the fragment."""
    text = re.sub(r"(^|\s)#.*", "", text, count=1).strip()
    return text if "://" in text else text.partition("#")[0].strip()


def _split(text: str) -> tuple[str, list[str]]:
    """Separate a requirement from the options behind it that concern the whole resolution."""
    match = re.search(r"(^|\s)(" + "|".join(map(re.escape, _LIFTED)) + r")(=|\s)", text)
    if not match:
        return text, []
    words = text[match.start() :].split()
    lifted: list[str] = []
    rest: list[str] = []
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in _LIFTED and (equals or words):
            lifted.append(f"{_LIFTED[name]} {value if equals else words.pop(0)}")
        else:
            rest.append(name + equals + value)
    return " ".join([text[: match.start()].strip(), *rest]).strip(), lifted
