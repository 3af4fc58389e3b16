"""Finds Nix and drives it: adds files to the store, realises derivations, reads the event stream.

Works with Nix 2.8 to 2.34 through the stable commands (``nix-build``, ``nix-store``), so no experimental
feature is asked for. Three ways to a store are found out, never asked: as root without a daemon, through a
daemon, and as a plain user with a store of one's own.
"""

from __future__ import annotations

import functools
import os
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from cog_nix.store import adopt, ahead, choice, events, failures, users
from cog_nix.store.caches import Caches
from cog_nix.store.paths import STORE_DIR, file_path, sri_hash, store_name, tree_path
from cog_nix.system import scratch
from cog_nix.system.paths import cache_dir
from cog_nix.system.processes import Finished, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter
    from cog_nix.system.child import Process

    Made = Callable[[str, Callable[[], Path | None]], object]
    """Takes a derivation's name, and what finds its first output; None: that is not there."""

StoreKind = Literal["root", "daemon", "single-user", "own"]

_PASSING = re.compile(r"cannot (?:unlink|remove|open)[^\n]*\.drv\.chroot|requires non-existent output")
"""Failures that are gone the next time. A builder that outlived its killed Nix for a moment still writes into
the folder that this Nix removes. Nix 2.8 makes those outputs anew that the garbage collector took, and then
looks for the others in vain, once."""
_OUTPUT, _HEAD = re.compile(r'Derive\(\[\("\w+","([^"]+)"'), 4096
"""Of a derivation's file: where its first output is, and how much of it has that."""
_RETRIES = 5
_RETRY_SECONDS = 1.0
_STATE = "/nix/var/nix"
_NO_PATHS = ("--option", "sandbox-paths", "")
_ADDING = threading.Lock()
"""Held by the thread whose Nix adds something: two that open a new store at once get in each other's way."""
_SOCKET = "/nix/var/nix/daemon-socket/socket"


class Within(Protocol):
    """A place that programs run in, which is made when the first is asked for."""

    def ready(self) -> None:
        """Make it, unless it is there.

        Raises:
            CogNixError: it cannot be made.
        """


@dataclass(frozen=True)
class Nix:
    """A usable Nix and the store it works on."""

    bin_dir: Path
    kind: StoreKind
    root: Path | None = None
    """Folder of an own store (``--store``); None: the system's."""
    origin: choice.Origin = "machine"
    """Why this Nix was taken."""
    users: Sequence[str] = ("--option", "build-users-group", "")
    """Options that say who builders are, where no daemon decides it."""
    within: Within | None = None
    """The container that its programs run in; None: they run here."""
    caches: Caches = field(default_factory=Caches)
    """Binary caches that builds may take from, and machines that they may use."""

    @property
    def store_dir(self) -> Path:
        """Where store paths really are."""
        return self.root / "nix/store" if self.root else Path(STORE_DIR)

    @property
    def url(self) -> str:
        """The store, as other commands of Nix's name it."""
        return str(self.root or "auto")

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

    def program(self, name: str) -> str:
        """Return what to start for one of Nix's programs."""
        if self.within:
            self.within.ready()
        return str(self.bin_dir / name)

    def python(self) -> str:
        """Return what to start for a Python of the standard library, where Nix's programs run.

        It is 3.11 or newer and sees the store, the cache, temporary files and cog-nix's own.
        """
        return self.program("python") if self.within else sys.executable

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command line with the options that every call needs."""
        return self._command(program, *Caches().options(), *_NO_PATHS, *arguments)

    def building(self, program: str, *arguments: str) -> list[str]:
        """Return a command line for what may come from binary caches, or be built elsewhere."""
        return self._command(program, *self.caches.options(), *_NO_PATHS, *arguments)

    def foreign(self, program: str, *arguments: str) -> list[str]:
        """Return a command line for what others wrote: binary caches and flakes as the user has them."""
        features = ["--extra-experimental-features", "nix-command flakes"]
        return self._command(program, *features, *self.caches.options(extra=True), *arguments)

    def subcommand(self, *arguments: str, store: str = "") -> list[str]:
        """Return a command line of ``nix``, which takes a command's name first and all options after it.

        Args:
            arguments: the command, and what it takes.
            store: URL of the store that it is for; "": this one.
        """
        features = ["--extra-experimental-features", "nix-command"]
        other = ["--store", store] if store else []
        return [self.program("nix"), *arguments, *features, *self._options(), *other]

    def environment(self) -> dict[str, str]:
        """Return the environment for commands that reach other machines."""
        return {**os.environ, **self.caches.environment()}

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [self.program(program), *self._options(), *arguments]

    def _options(self) -> list[str]:
        options = ["--option", "warn-dirty", "false", "--max-jobs", "auto", "--cores", "0"]
        # A daemon takes these from users it trusts, and goes by its own configuration for others.
        options += ["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"]
        if self.kind != "daemon":
            options += self.users
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
        if self.kind != "daemon":
            try:
                self._adopt([adopt.Download(path, one.sha256, at) for at, (one, path) in wanted.items()])
            except OSError:
                pass  # Nix may know a way (NixOS mounts the store anew to write to it), or says what is wrong
            else:
                return
        with scratch.folder("add", files[0][1].parent) as folder:
            links = []
            for artifact, path in wanted.values():
                link = folder / store_name(artifact.filename)
                os.link(path, link)
                links.append(str(link))
            added = self._add(["sha256", *links])
        if odd := wanted.keys() - set(added):
            raise adopt.ChangedDownloadError(Path(min(odd)).name)

    def _adopt(self, downloads: Sequence[adopt.Download]) -> None:
        """Make files of the cache the store's as well."""
        place = self._place()
        with place.kept():
            self._tell(place.add(downloads))

    def adopt_tree(self, tree: Path, sri: str) -> bool:
        """Add a folder of the cache by content, without copying it where that can be had.

        Args:
            tree: the folder; its files become the store's as well, so nobody may write to them any more.
            sri: the hash that it should have.

        Returns:
            Whether it has that hash. Where it has not, the store may hold it under its own.

        Raises:
            NixError: the store is not writable.
        """
        store_path = tree_path(sri, tree.name)
        if self.kind != "daemon":
            place = self._place()
            try:
                with place.kept():
                    if told := place.add_tree(tree, store_path, sri):
                        self._tell(told)
                    return told is not None
            except OSError:
                pass  # as for files; or a killed process has left something there
        return self.add_tree(tree) == store_path

    def _place(self) -> adopt.Place:
        state = self.root / "nix/var/nix" if self.root else Path(os.environ.get("NIX_STATE_DIR", _STATE))
        return adopt.Place(self.store_dir, state)

    def _tell(self, registration: str) -> None:
        """Tell Nix of what was put into its store."""
        with _ADDING:
            self._run("nix-store", "--load-db", stdin=registration)

    def add_tree(self, tree: Path) -> str:
        """Add a folder by content; return its store path, which tells whether it is what was expected.

        Raises:
            NixError: the store is not writable.
        """
        (store_path,) = self._add(["--recursive", "sha256", str(tree)])
        return store_path

    def add_new_tree(self, tree: Path) -> str:
        """Add a folder whose hash nobody knows yet; return it (SRI).

        Raises:
            NixError: the store is not writable.
        """
        return sri_hash(self._run("nix-store", "--query", "--hash", self.add_tree(tree)).strip())

    def _add(self, arguments: Sequence[str]) -> list[str]:
        with _ADDING:
            return self._run("nix-store", "--add-fixed", *arguments).split()

    def _run(self, program: str, *arguments: str, stdin: str = "") -> str:
        return _output(run(self.command(program, *arguments), stdin=stdin, check=False))

    def dump(self, store_path: str, target: Path) -> None:
        """Write the Nix archive of a store path to a file.

        Raises:
            NixError: it cannot be read or written.
        """
        script = 'to=$1; shift; exec "$@" > "$to"'
        command = self.command("nix-store", "--dump", str(self.real(store_path)))
        _output(run(["sh", "-c", script, "sh", str(target), *command], check=False))

    def restore(self, archive: Path, target: Path) -> None:
        """Unpack a Nix archive.

        Raises:
            NixError: it is none, or cannot be unpacked there.
        """
        script = 'from=$1; shift; exec "$@" < "$from"'
        command = self.command("nix-store", "--restore", str(target))
        _output(run(["sh", "-c", script, "sh", str(archive), *command], check=False))

    def invalid(self, store_paths: Sequence[str]) -> list[str]:
        """Return those of the store paths that the store does not hold."""
        gone = [path for path in store_paths if not os.path.lexists(self.real(path))]
        if len(gone) == len(store_paths):
            return gone
        return self._run("nix-store", "--check-validity", "--print-invalid", *store_paths).split()

    def obtain(self, store_paths: Sequence[str], reporter: Reporter) -> bool:
        """Take store paths from binary caches; return whether the store then holds all of them.

        Only what goes by its content, or is signed by a trusted key, is taken.

        Args:
            store_paths: which.
            reporter: is told why one does not come.
        """
        missing = self.invalid(store_paths) if store_paths else []
        if not missing or not self.caches.substituters:
            return not missing
        from cog_nix.store.bucket import opened  # noqa: PLC0415 - most builds have no cache

        logged = ["--keep-going", "--log-format", "internal-json", "-v"]
        with opened(self.caches) as caches:
            nix = replace(self, caches=caches)
            command = nix.building("nix-store", "--realise", *logged, *missing)
            text = f"Taking {len(missing)} store paths from binary caches"
            watching = events.watch_copies(reporter, text)
            finished, _ = self._watched(command, reporter, watching)
        return finished.returncode == 0 or not self.invalid(missing)

    def closure(self, store_paths: Sequence[str]) -> list[str]:
        """Return store paths with all that they refer to.

        Raises:
            NixError: the store does not hold one of them.
        """
        return self._run("nix-store", "--query", "--requisites", *store_paths).split()

    def flake_metadata(self, reference: str, folder: Path) -> str:
        """Return what a flake is at this moment, as JSON.

        Args:
            reference: of the flake, without an attribute.
            folder: where relative references start.

        Raises:
            NixError: it cannot be read.
        """
        command = self.foreign("nix", "flake", "metadata", "--no-write-lock-file", "--json", reference)
        # `nix` takes a command's name first, and all options after it.
        program, rest = command[0], command[1:]
        start = rest.index("flake")
        return _output(run([program, *rest[start:], *rest[:start]], cwd=folder, check=False))

    def build(
        self,
        expression: Path,
        spec: Mapping[str, object],
        link: Path | None,
        reporter: Reporter,
        *,
        foreign: bool = False,
        made: Made | None = None,
    ) -> str:
        """Realise the derivation that ``expression`` makes of ``spec``.

        Args:
            expression: a Nix file that evaluates to a function of ``{ spec }``, a JSON file.
            spec: values for it.
            link: symbolic link to make, which keeps the result from being collected; None: no link.
            reporter: hears of builds as they run.
            foreign: whether it has packages of others: these may come from a binary cache, and from flakes.
            made: called from a thread when each builder has ended, while others are at work. What it raises
                ends the build, and is raised. None: nobody wants to know.

        Returns:
            The store path of the first output.

        Raises:
            NixError: evaluation or a build failed.
        """
        command = self.build_command(expression, link, foreign=foreign)

        def ended(derivation: str) -> None:
            if made:
                made(events.readable(derivation), functools.partial(self._output, derivation))

        finished, log = self._realise(command, spec, reporter, ended)
        if finished.returncode:
            raise failures.explain(log.errors(), log.failed_log(), log.failed_name())
        output = finished.stdout.split()
        return f"{STORE_DIR}/{Path(os.path.realpath(output[-1]) if link else output[-1]).name}"

    def build_command(self, expression: Path, link: Path | None, *, foreign: bool = False) -> list[str]:
        """Return the command line of :meth:`build`, without the file of its values."""
        root = ["--out-link", str(link)] if link else ["--no-out-link"]
        make = self.foreign if foreign else self.building
        return [*make("nix-build", str(expression), *root), "--log-format", "internal-json", "-v"]

    def _realise(
        self,
        command: list[str],
        spec: Mapping[str, object],
        reporter: Reporter,
        ended: Callable[[str], object],
    ) -> tuple[Finished, events.Log]:
        if running := ahead.claim(command, spec):
            process, file = running
            with file:
                watching = events.watch(reporter, ended)
                finished, log = self._watched(command, reporter, watching, started=process)
            if finished.returncode == 0:
                return finished, log
        with ahead.Values(spec) as file:
            command += file.arguments()
            finished, log = self._watched(command, reporter, events.watch(reporter, ended), file)
            for _ in range(_RETRIES):
                if not (finished.returncode and _PASSING.search(log.errors())):
                    break
                reporter.log("trying again: the failure should be a passing one")
                time.sleep(_RETRY_SECONDS)
                finished, log = self._watched(command, reporter, events.watch(reporter, ended), file)
        return finished, log

    def _output(self, derivation: str) -> Path | None:
        """Return the first output of a derivation; None where it is not there."""
        with suppress(OSError), self.real(derivation).open(encoding="utf-8", errors="replace") as file:
            if (found := _OUTPUT.match(file.read(_HEAD))) and (path := self.real(found[1])).exists():
                return path
        return None

    def _watched(
        self,
        command: Sequence[str],
        reporter: Reporter,
        watching: AbstractContextManager[events.Log],
        values: ahead.Values | None = None,
        started: Process | None = None,
    ) -> tuple[Finished, events.Log]:
        env = {**(values.environment() if values else os.environ), **self.caches.environment()}
        with watching as log:
            finished = run(command, env=env, check=False, on_stderr=log.feed, started=started)
        for warning in log.warnings():
            reporter.warn(warning)
        return finished, log


def _output(finished: Finished) -> str:
    if finished.returncode:
        raise failures.explain(finished.stderr)
    return finished.stdout


def discover(
    environment: Mapping[str, str] = os.environ,
    bring: Callable[[], Path | None] | None = None,
    reporter: Reporter | None = None,
) -> Nix:
    """Find Nix and a store to use.

    ``COG_NIX_STORE`` names the folder of a store of one's own; otherwise the system's is used where this user
    may build (``NIX_REMOTE`` and ``NIX_DAEMON_SOCKET_PATH`` as in the Nix manual, "Common Environment
    Variables"), and ``$XDG_DATA_HOME/cog-nix/store`` where not. The system's belongs to the system's Nix:
    where that is too old, it is left alone.

    Args:
        environment: variables of the process.
        bring: returns the programs of cog-nix's own Nix (:mod:`cog_nix.store.choice`); None: there is none.
        reporter: is told what is passed over; None: nobody is.

    Raises:
        NixError: there is no Nix.
    """
    chosen = choice.choose(environment, bring, cache_dir())
    if chosen.passed_over and reporter:
        reporter.log(f"{chosen.passed_over} It is passed over.")
    kind, root = _store(environment, alone=bool(chosen.passed_over))
    return Nix(chosen.bin_dir, kind, root, chosen.origin, users.options(chosen.bin_dir, root, cache_dir()))


def _store(environment: Mapping[str, str], *, alone: bool) -> tuple[StoreKind, Path | None]:
    """Return the kind of store, and the folder of an own one."""
    if not environment.get("COG_NIX_STORE") and not alone:
        if os.geteuid() == 0 and not environment.get("NIX_REMOTE") and _writable(Path(STORE_DIR)):
            return "root", None  # root's Nix opens the store itself, also where a daemon runs
        if daemon(environment):
            return "daemon", None
        if os.access("/nix/var/nix/db", os.W_OK) and os.access(STORE_DIR, os.W_OK):
            return "single-user", None
    return "own", own_store(environment)


def own_store(environment: Mapping[str, str]) -> Path:
    """Return the folder of a store of one's own."""
    if named := environment.get("COG_NIX_STORE"):
        return Path(named).absolute()
    data = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(data) / "cog-nix/store"


def daemon(environment: Mapping[str, str]) -> bool:
    """Whether Nix's daemon is named, or answers."""
    if environment.get("NIX_REMOTE"):
        return True
    return _daemon_answers(environment.get("NIX_DAEMON_SOCKET_PATH", _SOCKET))


def _writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return os.access(there, os.W_OK)


def _daemon_answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(path)
    except OSError:
        return False
    return True
