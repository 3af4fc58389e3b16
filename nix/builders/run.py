"""Run one command of ``run:`` and keep what it changed, as the files of a fragment.

Spec::

    {"command": text behind Dockerfile's RUN, "environment": [[NAME, value], …],
     "lower": [store path of a fragment, …], "tools": [store path, …], "results": [store path, …],
     "archives": [[uri, suite, component], …], "python": "3.13", "tree": store path of a Python 3.13,
     "programs": ["/usr/local/cuda/bin", …]}

``lower`` are fragments of the image, ``tools`` those of compilers and the like, which the image lacks, and
``results`` what the commands before left behind. ``programs`` is there when ``tools`` have a compiler for
GPUs (:mod:`compiling`). The output has ``directories.tar``, ``files.tar`` and
``index.tsv`` of a fragment (:mod:`archive`), and no more: it is a fixed output, so it must not name itself.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import changes
import cleanup
import compiling
import confinement
import dpkg
import git_index
import handover
import inputs
import installed
import mounts
import namespace
import overlay
import recompile
import snapshot
import unpack
from failure import BuildError
from ownership import Ownership
from target import TARGET

from cog_nix.config import commands
from cog_nix.config.environment import image
from cog_nix.elf import ldcache
from cog_nix.errors import CogNixError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from cog_nix.config.commands import Instruction

_CACHE = "etc/ld.so.cache"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_APT_CONFIGURATION = "etc/apt/apt.conf.d/zz-cog-nix"
_APT_SOURCES = "etc/apt/sources.list.d/debian.sources"
_APT_LISTS = "var/lib/apt/lists"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_APT = re.compile(r"\bapt(-get|itude)?\s+(?!-?-?version)")
_UPDATES = re.compile(r"\bapt(-get|itude)?\s[^;&|]*\bupdate\b")
_UPGRADES = re.compile(r"\b(dist-|full-|safe-)?upgrade\b")
_FROM_MACHINE = ("etc/hosts", "etc/resolv.conf")


class System:
    """The file system that a command runs in.

    Args:
        spec: see the module.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        lower, tools, results = (
            [Path(path) for path in spec[name]] for name in ("lower", "tools", "results")
        )
        self.root = inputs.scratch() / "root"
        self.root.mkdir()
        self.asked = Ownership(layered=True)
        self.lower = self._lay([*lower, *tools, *results])
        self.image = unpack.view([*lower, *results])
        self.now = _stanzas(self.image)
        self.before = installed.complete(
            _stanzas(unpack.view(lower)), _stanzas(unpack.view([*lower, *tools])), self.now
        )

    def _lay(self, fragments: list[Path]) -> unpack.View:
        """Unpack everything, in memory below a writable file system on disk where that can be had."""
        memory = overlay.room(fragments) if overlay.become_root() else None
        if memory is not None:
            laid = unpack.unpack(fragments, memory)
            upper = self.root.with_name("upper")
            upper.mkdir()
            if overlay.mounted(memory, upper, self.root):
                return laid
            cleanup.remove(memory)
        return unpack.unpack(fragments, self.root)

    def prepare(self, archives: list[list[str]], certificates: str) -> None:
        """Write what the command needs and the image does not get: hosts, certificates, apt's settings."""
        for name in _FROM_MACHINE:
            if (machine := Path("/") / name).is_file():
                self._write(name, machine.read_text())
        if certificates:
            self._write(_CERTIFICATES, certificates)
        own = self.before.keys() - self.now.keys()
        known = self.image.contents(installed.STATES).decode() if installed.STATES in self.image else ""
        self._write(dpkg.STATUS, installed.text_of(self.before.values()))
        self._write(installed.STATES, known + installed.as_automatic(own))
        self._write(cleanup.POLICY, "#!/bin/sh\nexit 101\n", 0o755)
        self._write(_APT_CONFIGURATION, _apt_configuration(own))
        if _APT_SOURCES not in self.image:
            self._write(_APT_SOURCES, _apt_sources(archives))
        for name in ("dev", "proc", "sys", "run", "tmp", "root", "src", _APT_LISTS):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cleanup.remove(path)
        path.write_text(text, errors="surrogateescape")
        path.chmod(mode)


def _stanzas(view: unpack.View) -> installed.Stanzas:
    return installed.stanzas(view.contents(dpkg.STATUS).decode(errors="surrogateescape"))


def _apt_configuration(own: AbstractSet[str]) -> str:
    """Return apt.conf(5): one user is all there is, and the build's own packages stay."""
    names = "".join(f'"^{re.escape(name)}$"; ' for name in sorted(own))
    return f"""\
APT::Sandbox::User "root";
APT::NeverAutoRemove {{ {names}}};
APT::Get::HideAutoRemove "true";
Acquire::Languages "none";
DPkg::Options {{ "--force-unsafe-io"; }};
"""


def _apt_sources(archives: list[list[str]]) -> str:
    """Return sources.list(5) in deb822 style: where the image's packages were taken from."""
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {component}\nSigned-By: {_KEYRING}\n"
        for uri, suite, component in archives
    )


def variables(given: list[list[str]], host: handover.Handover) -> dict[str, str]:
    """Return a command's environment: the image's, what upstream's builds have, the machine's proxies."""
    found = {
        **image(TARGET.triplet),
        **dict(given),
        "HOME": "/root",
        # Importing a module leaves no trace; what is installed is compiled at the end, without clocks.
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(archive.MTIME),
        **host.environment,
    }
    if host.certificates:
        found |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), f"/{_CERTIFICATES}")
    return found


def execute(system: System, instruction: Instruction, given: dict[str, str], host: handover.Handover) -> None:
    """Run the command; end the build when it fails."""
    secrets = host.secrets
    with (
        mounts.prepared(system.root, instruction.places, secrets) as given_mounts,
        mounts.redacted(secrets.values()),
    ):
        if _APT.search(instruction.command) and not _UPDATES.search(instruction.command):
            # The lists that a command before fetched are in no layer.
            namespace.run(system.root, ["/usr/bin/apt-get", "update", "-qq"], given, {})
        status = namespace.run(
            system.root,
            [*instruction.argv],
            {**given, **given_mounts.variables},
            given_mounts.binds,
            owners=system.asked,
        )
    if status:
        mark = Path(os.environ["specPath"]).with_name("ended")  # noqa: SIM112 - Nix's spelling
        mark.write_text(str(status), encoding="ascii")
        sys.exit(1)


def record_packages(system: System, taken: changes.Changes, command: str) -> frozenset[str]:
    """Put what the command installed into the image's package database; return what stays the build's own."""
    root = system.root
    after = installed.stanzas(_text(root / dpkg.STATUS))
    states = _text(root / installed.STATES)
    found = installed.outcome(
        system.before, after, system.now, states, upgrading=bool(_UPGRADES.search(command))
    )
    kept = set(found.kept)
    status = {name: after[name] for name in found.kept}
    if status != system.now:
        taken.replace(dpkg.STATUS, installed.text_of(status.values()).encode(errors="surrogateescape"))
        known = {name: text for name, text in installed.stanzas(states).items() if name in kept}
        if known:
            taken.replace(installed.STATES, installed.text_of(known.values()).encode())
        if triggers := _text(root / installed.TRIGGERS):
            taken.replace(installed.TRIGGERS, installed.triggers(triggers, kept).encode())
    for name in sorted(found.promoted):
        files = set(dpkg.package_files(root, name))
        taken.add([*files, *installed.records(root, name)], always=True)
        taken.add(installed.alternatives(root, files), always=True)
    others = {path for name in kept for path in dpkg.package_files(root, name)} if found.hidden else set()
    return frozenset(
        path
        for name in found.hidden
        for path in (*dpkg.package_files(root, name), *installed.records(root, name))
        if path not in others
    )


def _text(path: Path) -> str:
    return path.read_text(errors="surrogateescape") if path.is_file() else ""


def keep(system: System, before: snapshot.Times, spec: dict[str, Any], command: str) -> changes.Changes:
    """Return what the command changed."""
    root = system.root
    changed, _ = changes.between(before, dict(snapshot.walk(root, closed=snapshot.MOUNTS)), system.asked)
    git_index.clear_all(root, changed)
    compiled = recompile.compile_changed(root, Path(spec["tree"]), spec["python"], changed)
    _, gone = changes.between(before, dict(snapshot.walk(root, closed=snapshot.MOUNTS)))
    taken = changes.Changes(root, system.lower, system.image, system.asked)
    own = record_packages(system, taken, command)
    database = (dpkg.STATUS, installed.STATES, installed.TRIGGERS)
    folders = {path.rpartition("/")[0] for path in compiled}
    taken.add(
        path
        for path in (*changed, *compiled)
        if path not in database
        and path not in own
        and (not path.endswith(".pyc") or path in compiled)
        and (not path.endswith("/__pycache__") or path in folders)
    )
    taken.remove(gone)
    if _CACHE in changed:
        forget_libraries(root, taken)
    return taken


def forget_libraries(root: Path, taken: changes.Changes) -> None:
    """Take the build's own libraries out of the dynamic linker's cache that a command's ldconfig(8) wrote."""

    def there(path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return (mounts.inside(root, folder) / name).relative_to(root).as_posix() in taken

    with suppress(ldcache.NotACacheError, OSError):  # somebody's own
        taken.replace(_CACHE, ldcache.reduced((root / _CACHE).read_bytes(), there))


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    confinement.shelter()
    try:
        instruction = commands.parse(spec["command"])
    except CogNixError as error:
        raise BuildError(error.message) from error
    host = handover.receive(sys.stdin.buffer)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    system = System(spec)
    system.prepare(spec["archives"], host.certificates)
    before = snapshot.take(system.root, closed=snapshot.MOUNTS)
    given = {**compiling.variables({**spec, "environment": []}), **variables(spec["environment"], host)}
    if "programs" in spec:
        given["PATH"] = compiling.path(spec["programs"], given["PATH"])
    execute(system, instruction, given, host)
    taken = keep(system, before, spec, instruction.command)
    mounts.refuse_leaks(taken.sources(), host.secrets)
    out = inputs.output()
    archive.write_fragment(out, taken.entries(), "run")
    (out / "fragment.json").unlink()  # it says where it is
