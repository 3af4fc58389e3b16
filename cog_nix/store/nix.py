"""Finds Nix and drives it: adds files to the store, realises derivations, reads the event stream.

Works with Nix 2.8 to 2.34 through the stable commands (``nix-build``, ``nix-store``), so no experimental
feature is asked for. Three ways to a store are found out, never asked: as root without a daemon, through a
daemon, and as a plain user with a store of one's own.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cog_nix.errors import NixError
from cog_nix.processes import Finished, run
from cog_nix.store import ahead, events, failures
from cog_nix.store.paths import STORE_DIR, file_path, store_name, tree_path

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

StoreKind = Literal["root", "daemon", "single-user", "own"]

_PROFILES = (
    "/nix/var/nix/profiles/default/bin",
    "~/.nix-profile/bin",
    "~/.local/state/nix/profile/bin",
    "/run/current-system/sw/bin",
)
_PASSING = re.compile(r"cannot (?:unlink|remove|open)[^\n]*\.drv\.chroot|requires non-existent output")
"""Failures that are gone the next time. A builder that outlived its killed Nix for a moment still writes into
the folder that this Nix removes. Nix 2.8 makes those outputs anew that the garbage collector took, and then
looks for the others in vain, once."""
_GOT = re.compile(r"got:\s+(sha256-[A-Za-z0-9+/]{43}=)")
_RETRIES = 5
_RETRY_SECONDS = 1.0
_SOCKET = "/nix/var/nix/daemon-socket/socket"
_NO_NIX = """\
Install it from your distribution (Debian, Ubuntu: apt-get install nix-bin; Fedora: dnf install nix;
Arch: pacman -S nix) or with the installer at nixos.org/download, then run this again.
Nothing needs to be configured: cog-nix finds out how to use it."""


@dataclass(frozen=True)
class Nix:
    """A usable Nix and the store it works on."""

    bin_dir: Path
    kind: StoreKind
    root: Path | None = None
    """Folder of an own store (``--store``); None: the system's."""

    @property
    def store_dir(self) -> Path:
        """Where store paths really are."""
        return self.root / "nix/store" if self.root else Path(STORE_DIR)

    @property
    def state_dir(self) -> Path:
        """Where Nix keeps its database and the roots of what is not garbage."""
        return Path(f"{self.root or ''}/nix/var/nix")

    @property
    def identity(self) -> str:
        """A text that another store does not have, also one that is in the same place later."""
        try:
            info = (self.state_dir / "db").stat()
        except OSError:
            return str(self.store_dir)
        return f"{self.store_dir}:{info.st_dev}:{info.st_ino}"

    def real(self, store_path: str) -> Path:
        """Return where a store path really is."""
        return self.store_dir / Path(store_path).name

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command line with the options that every call needs."""
        options = ["--option", "substitute", "false", "--option", "sandbox-paths", ""]
        return [str(self.bin_dir / program), *options, *self._options(), *arguments]

    def foreign(self, program: str, *arguments: str) -> list[str]:
        """Return a command line for what others wrote: binary caches and flakes as the user has them."""
        options = ["--extra-experimental-features", "nix-command flakes"]
        return [str(self.bin_dir / program), *options, *self._options(), *arguments]

    def _options(self) -> list[str]:
        options = ["--option", "warn-dirty", "false", "--max-jobs", "auto", "--cores", "0"]
        # A daemon takes these from users it trusts, and goes by its own configuration for others.
        options += ["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"]
        if self.kind != "daemon":
            options += ["--option", "build-users-group", ""]
        if self.root:
            options += ["--store", str(self.root)]
        return options

    def missing_artifacts(self, artifacts: Sequence[Artifact]) -> list[Artifact]:
        """Return those of the locked files that the store does not hold."""
        by_path = {file_path(one.sha256, store_name(one.filename)): one for one in artifacts}
        return [by_path[path] for path in self.invalid(list(by_path))]

    def add_artifacts(self, files: Sequence[tuple[Artifact, Path]]) -> None:
        """Put downloaded files where the lock's fixed outputs expect them.

        Raises:
            NixError: the store is not writable, or a file is not what the lock says.
        """
        wanted = {file_path(one.sha256, store_name(one.filename)): (one, path) for one, path in files}
        with tempfile.TemporaryDirectory(prefix="cog-nix-", dir=files[0][1].parent) as folder:
            links = []
            for artifact, path in wanted.values():
                link = Path(folder) / store_name(artifact.filename)
                os.link(path, link)
                links.append(str(link))
            self._add(["--add-fixed", "sha256", *links], list(wanted))

    def add_tree(self, tree: Path, sri: str) -> str:
        """Add a folder by content; return its store path.

        Raises:
            NixError: the folder is not what ``sri`` says.
        """
        store_path = tree_path(sri, tree.name)
        self._add(["--add-fixed", "--recursive", "sha256", str(tree)], [store_path])
        return store_path

    def _add(self, arguments: Sequence[str], expected: Sequence[str]) -> None:
        finished = run(self.command("nix-store", *arguments), check=False)
        if finished.returncode:
            raise failures.explain(finished.stderr)
        if odd := set(expected) - set(finished.stdout.split()):
            raise NixError(
                f"A file in the download cache is not what the lock says: {Path(min(odd)).name}.",
                hint="Remove the download cache (COG_NIX_CACHE_DIR, or ~/.cache/cog-nix) and run this again.",
            )

    def invalid(self, store_paths: Sequence[str]) -> list[str]:
        """Return those of the store paths that the store does not hold."""
        gone = [path for path in store_paths if not os.path.lexists(self.real(path))]
        if len(gone) == len(store_paths):
            return gone
        finished = run(
            self.command("nix-store", "--check-validity", "--print-invalid", *store_paths), check=False
        )
        if finished.returncode:
            raise failures.explain(finished.stderr)
        return finished.stdout.split()

    def flake_metadata(self, reference: str, folder: Path) -> str:
        """Return what a flake is at this moment, as JSON.

        Args:
            reference: of the flake, without an attribute.
            folder: where relative references start.

        Raises:
            NixError: it cannot be read.
        """
        command = self.foreign("nix", "flake", "metadata", "--json", reference)
        # `nix` takes a command's name first, and all options after it.
        program, rest = command[0], command[1:]
        start = rest.index("flake")
        finished = run([program, *rest[start:], *rest[:start]], cwd=folder, check=False)
        if finished.returncode:
            raise failures.explain(finished.stderr)
        return finished.stdout

    def build(
        self,
        expression: Path,
        spec: Mapping[str, object],
        link: Path | None,
        reporter: Reporter,
        *,
        foreign: bool = False,
    ) -> str:
        """Realise the derivation that ``expression`` makes of ``spec``.

        Args:
            expression: a Nix file that evaluates to a function of ``{ spec }``, a JSON file.
            spec: values for it.
            link: symbolic link to make, which keeps the result from being collected; None: no link.
            reporter: hears of builds as they run.
            foreign: whether it has packages of others: these may come from a binary cache, and from flakes.

        Returns:
            The store path of the first output.

        Raises:
            NixError: evaluation or a build failed.
        """
        finished, log = self._realise(expression, spec, link, reporter, foreign=foreign)
        if finished.returncode:
            raise failures.explain(log.errors(), log.failed_log(), log.failed_name())
        output = finished.stdout.split()
        return f"{STORE_DIR}/{Path(os.path.realpath(output[-1]) if link else output[-1]).name}"

    def discover_output(
        self, expression: Path, spec: Mapping[str, object], name: str, reporter: Reporter
    ) -> tuple[str, list[str]]:
        """Realise a fixed output whose hash nobody knows yet, under one that is wrong.

        Nix keeps what came out under its true hash before it complains about the wrong one.

        Args:
            expression: as for :meth:`build`.
            spec: as for :meth:`build`.
            name: of the derivation.
            reporter: as for :meth:`build`.

        Returns:
            The SRI hash of what came out, or "" when the builder failed; and the last lines that it printed.

        Raises:
            NixError: evaluation, or the build of something that it needs, failed.
        """
        finished, log = self._realise(expression, spec, None, reporter)
        found = _GOT.search(log.errors())
        if finished.returncode == 0 or (found is None and log.failed_name() != name):
            raise failures.explain(log.errors(), log.failed_log(), log.failed_name())
        return (found.group(1) if found else ""), log.failed_log()

    def build_command(self, expression: Path, link: Path | None, *, foreign: bool = False) -> list[str]:
        """Return the command line of :meth:`build`, without the file of its values."""
        root = ["--out-link", str(link)] if link else ["--no-out-link"]
        make = self.foreign if foreign else self.command
        return [*make("nix-build", str(expression), *root), "--log-format", "internal-json", "-v"]

    def _realise(
        self,
        expression: Path,
        spec: Mapping[str, object],
        link: Path | None,
        reporter: Reporter,
        *,
        foreign: bool = False,
    ) -> tuple[Finished, events.Log]:
        command = self.build_command(expression, link, foreign=foreign)
        if running := ahead.take(command, spec):
            process, file = running
            with file:
                finished, log = self._watched(command, reporter, process)
            if finished.returncode == 0:
                return finished, log
        with ahead.write(spec) as file:
            command += ahead.values(file)
            finished, log = self._watched(command, reporter)
            for _ in range(_RETRIES):
                if not (finished.returncode and _PASSING.search(log.errors())):
                    break
                reporter.log("trying again: the failure should be a passing one")
                time.sleep(_RETRY_SECONDS)
                finished, log = self._watched(command, reporter)
        return finished, log

    @staticmethod
    def _watched(
        command: Sequence[str], reporter: Reporter, started: subprocess.Popen[str] | None = None
    ) -> tuple[Finished, events.Log]:
        with events.watch(reporter) as log:
            finished = run(command, check=False, on_stderr=log.feed, started=started)
        return finished, log


def discover(environment: Mapping[str, str] = os.environ) -> Nix:
    """Find Nix and a store to use.

    ``COG_NIX_STORE`` names the folder of a store of one's own; otherwise the system's is used where this user
    may build (``NIX_REMOTE`` and ``NIX_DAEMON_SOCKET_PATH`` as in the Nix manual, "Common Environment
    Variables"), and ``$XDG_DATA_HOME/cog-nix/store`` where not.

    Raises:
        NixError: there is no Nix.
    """
    bin_dir = _find_nix(environment)
    if named := environment.get("COG_NIX_STORE"):
        return Nix(bin_dir, "own", Path(named).absolute())
    remote = environment.get("NIX_REMOTE", "")
    if os.geteuid() == 0 and not remote:
        return Nix(bin_dir, "root")  # root's Nix opens the store itself, also where a daemon runs
    if remote or _daemon_answers(environment.get("NIX_DAEMON_SOCKET_PATH", _SOCKET)):
        return Nix(bin_dir, "daemon")
    if os.access("/nix/var/nix/db", os.W_OK) and os.access(STORE_DIR, os.W_OK):
        return Nix(bin_dir, "single-user")
    data = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Nix(bin_dir, "own", Path(data) / "cog-nix/store")


def _find_nix(environment: Mapping[str, str]) -> Path:
    search = os.pathsep.join(
        [environment.get("PATH", ""), *(str(Path(folder).expanduser()) for folder in _PROFILES)]
    )
    found = shutil.which("nix-build", path=search)
    if not found:
        raise NixError("Nix is not installed: there is no nix-build on the PATH.", hint=_NO_NIX)
    return Path(found).parent


def _daemon_answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(path)
    except OSError:
        return False
    return True
