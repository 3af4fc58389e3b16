"""What NVIDIA's hooks do, for runtimes that run none and for machines that do not have the program.

``nvidia-cdi-hook`` (``nvidia-ctk hook`` before version 1.17 of the toolkit) is what NVIDIA's specifications
call. Its commands prepare files of the container, which can be done before it starts as well.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cog_nix.cdi.failures import UnknownHookError
from cog_nix.cdi.model import Edits, Hook, Placement
from cog_nix.elf.folder import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.cdi.model import Mount

_PROGRAMS = {"nvidia-cdi-hook", "nvidia-ctk"}
_NOT_NEEDED = {
    "enable-cuda-compat",
    "disable-device-node-modification",
    "update-nvidia-params",
    "update-application-profile",
    "noop",
}
"""Commands without which CUDA works: the first prefers a newer libcuda that an image may bring, the next two
keep programs from making device files, and the fourth hides other GPUs from EGL."""


def without(edits: Edits, *, all_of_them: bool) -> Edits:
    """Return edits whose hooks can all be run, with a placement for those that are taken out.

    Args:
        edits: as specifications have them.
        all_of_them: take out every hook; otherwise those whose program is not here.

    Raises:
        CdiError: such a hook is not known.
    """
    out = [hook for hook in edits.hooks if all_of_them or not Path(hook.path).exists()]
    placement = edits.placement
    for hook in out:
        placement += _placement(hook, edits.mounts)
    return replace(edits, hooks=tuple(hook for hook in edits.hooks if hook not in out), placement=placement)


def _placement(hook: Hook, mounts: Sequence[Mount]) -> Placement:
    command, options = _parse(hook)
    if command in {"update-ldcache", "create-soname-symlinks"}:
        found = tuple(options.get("--folder", ()))
        libraries = tuple(_libraries(found, mounts))
        return Placement(folders=found if command == "update-ldcache" else (), libraries=libraries)
    if command == "create-symlinks":
        pairs = (text.partition("::") for text in options.get("--link", ()))
        return Placement(links=tuple((target, path) for target, _, path in pairs if path))
    if command == "chmod":
        mode = options.get("--mode", ["755"])[-1]
        if re.fullmatch("[0-7]{1,4}", mode):
            return Placement(modes=tuple((path, int(mode, 8)) for path in options.get("--path", ())))
    if command in _NOT_NEEDED:
        return Placement()
    shown = " ".join(hook.args) or hook.path
    raise UnknownHookError(hook.name, hook.path, shown)


def _parse(hook: Hook) -> tuple[str, dict[str, list[str]]]:
    """Return the command and its options (``--name value``, ``--name=value``); "" of another program."""
    words = list(hook.args[1:])
    if PurePosixPath(hook.path).name not in _PROGRAMS:
        return "", {}
    if words[:1] == ["hook"]:
        del words[0]
    command, *rest = words or [""]
    options: dict[str, list[str]] = {}
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not equals and rest:
            value = rest.pop(0)
        options.setdefault(name, []).append(value)
    return command, options


def _libraries(folders: Sequence[str], mounts: Sequence[Mount]) -> Iterator[tuple[str, str]]:
    """Yield soname and path of each mounted library that lies in one of the folders."""
    for mount in mounts:
        target = PurePosixPath(mount.container_path)
        files = {target: Path(mount.host_path)} if str(target.parent) in folders else {}
        if str(target) in folders and Path(mount.host_path).is_dir():
            files = {target / path.name: path for path in sorted(Path(mount.host_path).iterdir())}
        for name, path in files.items():
            if ".so" in name.name and (dynamic := read_file(path)):
                yield dynamic.soname or name.name, str(name)
