"""The hooks. Everything that knows Debian, PyPI or Docker is a plugin through these.

A plugin is a module or an object whose methods carry :data:`hookimpl`. Built-in plugins live in
``cog_nix_hooks``; others are found through the entry point group ``cog_nix``. Arguments may be left out of an
implementation's signature when it does not need them (pluggy matches them by name).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import pluggy

from cog_nix.system.platforms import AMD64, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    import typer

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.config.setting import SettingsTable
    from cog_nix.fetch.origins import Alternative
    from cog_nix.fetch.ranges import Parts
    from cog_nix.lock.model import Artifact, Deb, Index, Interpreter, Lock, Wheel
    from cog_nix.report import Reporter

PROJECT_NAME = "cog_nix"
"""Name of the hook namespace and of the entry point group."""

T = TypeVar("T")

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


class Fetcher(Protocol):
    """Downloads files into the cache that all projects share."""

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        """Return the local path of each artifact, by sha256; fetch what is missing, in parallel.

        Raises:
            FetchError: a server cannot be reached, or a file has another hash.
        """

    def in_parts(self, wanted: Sequence[Artifact], read: Callable[[Artifact, Parts], T]) -> dict[str, T]:
        """Look into files on their servers without fetching all of them, several at once.

        Args:
            wanted: the files.
            read: reads one; raises :class:`cog_nix.fetch.ranges.NoPartsError` where parts will not do.

        Returns:
            What was read, by sha256; what is left out has to be fetched. Nothing vouches for it: the hash is
            that of the whole file.
        """

    def take(self, url: str) -> tuple[str, int]:
        """Fetch a file whose hash nobody knows into the cache; return its sha256 and size.

        Args:
            url: ``http``, ``https``, ``file``, relative to the project (``./dist/mine-1.0.tar.gz``), or a git
                commit (``git+https://host/repository@COMMIT``).

        Raises:
            FetchError: it cannot be reached, or is refused.
        """

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        """Return the body behind a URL whose hash nobody knows (a Release file).

        Args:
            url: what to fetch (``http``, ``https`` or ``file``).
            max_age: a cached copy of at most this many seconds is good enough.

        Raises:
            FetchError: a server cannot be reached or refuses.
        """

    def forget(self, url: str) -> None:
        """Drop the copy of a text that turned out not to be what it should be: it is asked for anew."""


@dataclass(frozen=True)
class Context:
    """What every resolving hook may use."""

    settings: Settings
    fetcher: Fetcher
    reporter: Reporter
    cache_dir: Path
    """A folder a plugin may keep things in that can be lost at any time."""
    platform: Platform = AMD64
    """What is resolved for."""


@dataclass(frozen=True)
class InterpreterChoice:
    """What a plugin offers for a ``python_version``."""

    kind: str
    minor: str
    """``3.13``"""
    suite: str
    """Debian suite whose base system it runs on."""
    packages: tuple[str, ...]
    """Debian packages that bring it."""
    executable: str
    """Path in the image."""
    version_of: str
    """Debian package whose upstream version is the interpreter's full version."""
    wheel_libraries: tuple[str, ...] = ()
    """Packages with the libraries that built distributions may expect of any system (PEP 600), added when a
    project asks for Python packages."""
    build_packages: tuple[str, ...] = ()
    """Compilers, headers and tools that source builds and commands may count on; never in the image."""
    artifact: Artifact | None = None
    """The archive it is unpacked from, when ``packages`` do not bring it."""
    version: str = ""
    """Full version, when no package has it (``version_of`` is then empty)."""


@dataclass(frozen=True)
class SystemRequest:
    """A question to a resolver of system packages."""

    suite: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """``(group, package names)``: each group is resolved on top of the ones before it."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Versions to keep where they still exist and fit."""
    asked_in: Mapping[str, str] = field(default_factory=dict)
    """Where a name was asked for (``cog.yaml:7``), for error messages."""
    component: str = "main"
    """Area of the archive (Debian Policy 2.2); any but the first is looked at alone."""
    alone: bool = False
    """Just these packages, to be unpacked: nothing that they depend on."""


@dataclass(frozen=True)
class SystemResolution:
    """The answer: what each group adds, in a canonical order."""

    groups: Mapping[str, tuple[Deb, ...]]
    indexes: tuple[Index, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The package taken for each name that was asked for and is called something else in this suite."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The packages' upstream versions, by name."""


@dataclass(frozen=True)
class SeedFacts:
    """Of which packages something with a Python is made that cog-nix needs for itself."""

    suite: str
    python: str
    """Its minor version."""
    packages: tuple[str, ...]
    """The first has the version of the interpreter."""
    unused: frozenset[str] = frozenset()
    """Dependencies that bring nothing that is used."""


@dataclass(frozen=True)
class InstalledPackage:
    """A system package that an image says it has."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    """Names of the installed packages that it depends on."""
    is_base: bool = False
    """Whether it is of the base system."""
    is_python: bool = False
    """Whether it is part of the system's own Python."""
    architecture: str = ""
    source: str = ""
    """What it was built from, by which security holes are known; "": what has its name."""
    source_version: str = ""
    """"": the same."""
    supplier: str = ""
    homepage: str = ""
    description: str = ""


class SystemDatabase(Protocol):
    """How the files of an image say which system packages it has. Paths are without ``/`` in front."""

    kind: str
    """Of its packages, where output is for programs: ``debian``."""
    title: str
    """Of its packages, where it is for people: ``Debian packages``."""
    program: str
    """What keeps it: ``dpkg``."""
    index: str
    """Path of the file that names all packages; what else is beside it is of the database as well."""
    release: str
    """Path of the file that has the release; "": os-release(5) has it."""
    purl: tuple[str, str]
    """Type and namespace of its packages' URLs (ECMA-427)."""

    def installed(self, index: bytes) -> Sequence[InstalledPackage]:
        """Return the packages that are installed, as the index has them."""

    def owner(self, path: str) -> str:
        """Return the package whose files a file of the database lists, one a line; "": it is no such list."""

    def copyright(self, package: str) -> str:
        """Return where a package's file about its licences is."""

    def licences(self, text: str) -> Sequence[str]:
        """Return what such a file declares, as SPDX expressions where there are some, which all count."""

    def point_release(self, text: str) -> str:
        """Return the release that the file at ``release`` names; "": it names none."""


@dataclass(frozen=True)
class SystemFacts:
    """What is known of the packages that images are based on."""

    tools: tuple[str, ...] = ()
    """What every image has of the base system."""
    only_for_scripts: frozenset[str] = frozenset()
    """Packages that nothing but maintainer scripts needs; that others depend on them does not count."""
    c_library: str = ""
    """The package with the C library."""
    cog_base: tuple[str, ...] = ()
    """What Cog's own base image has."""
    pythons: tuple[str, ...] = ()
    """Minor versions of Python that come as such packages, the newest first."""
    seed: SeedFacts | None = None
    """Of the Python that runs inside builds; None: images cannot be locked with these packages."""
    name: str = "the distribution"
    """As messages name it: ``Debian``."""
    programs: frozenset[str] = frozenset()
    """Names of the programs that every image has; nothing is looked for that starts them."""
    database: SystemDatabase | None = None
    """How images say which of these packages they have."""
    builder: SeedFacts | None = None
    """Of the image that Nix runs in, with Nix and Git; None: these packages make none."""


@dataclass(frozen=True)
class GpuLibraries:
    """How the libraries of GPUs' makers are known among Python packages."""

    prefixes: tuple[str, ...] = ()
    """What names of Python packages begin with that consist of them. They link to each other, to the C
    library and to the driver, and the image's dynamic linker is told of them."""
    compilers: tuple[str, ...] = ()
    """Names of other Python packages that go with them, as heavy and released as seldom."""
    bundling: tuple[str, ...] = ()
    """Names of Python packages that always have the libraries that they use, as files or as requirements."""
    sonames: str = ""
    """Regular expression for what the libraries' sonames begin with."""
    advice: str = ""
    """A sentence for who lacks one of them."""

    def include(self, package: str) -> bool:
        """Tell whether a Python package consists of them."""
        return package.startswith(self.prefixes)

    def are_chosen_by(self, package: str) -> bool:
        """Tell whether a Python package consists of them, or has those that it uses."""
        return self.include(package) or package in self.bundling

    def go_with(self, package: str) -> bool:
        """Tell whether a Python package consists of them, or is one of the others."""
        return self.include(package) or package in self.compilers


@dataclass(frozen=True)
class PythonRequest:
    """A question to a resolver of Python distributions."""

    python_version: str
    """Full version of the interpreter in the image, ``3.13.5``."""
    requirements: tuple[str, ...]
    """Requirement and option lines (pip's requirements file format)."""
    glibc: str = "2.36"
    """Version of the C library in the image, for manylinux tags (PEP 600)."""
    project_root: Path = Path()
    pins: Mapping[str, str] = field(default_factory=dict)
    """Versions to prefer where they still fit."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Versions that may not move: what the project's own requirements came to, when others are tried beside
    them."""
    build_pins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The same for what building a source takes, by the source's name."""
    commits: Mapping[str, str] = field(default_factory=dict)
    """Commits to keep, by what was asked for: ``git+REPOSITORY@REVISION``."""
    gpu: bool | None = None
    """Whether the image is for machines with a GPU; None: the packages are for no image (cog-nix's tools)."""
    cuda: str | None = None
    """The CUDA release that cog.yaml names; None: it names none, whatever was derived from the packages."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why packages are what they are, from the former lock, by name: what need not be tried again."""
    asked_in: str = "cog.yaml"
    """The file that the requirements stand in, for error messages."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where each package is asked for, by normalised name (PEP 503): ``requirements.txt:3``."""

    def place(self, name: str) -> str:
        """Return where a package is asked for, as far as that is known."""
        return self.places.get(name, self.asked_in)


@dataclass(frozen=True)
class PythonResolution:
    """The answer, sorted by name."""

    wheels: tuple[Wheel, ...]
    build_packages: tuple[str, ...] = ()
    """System packages that source builds need beside those that every build has (``cargo``)."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a package is not the one that was asked for, by name; the lock remembers it."""


@dataclass(frozen=True)
class LibraryNeed:
    """A shared library that a file of the image needs and nothing around that file has."""

    owner: str
    """Normalised name of the Python package whose file it is; ``""``: no Python package's."""
    path: str
    """The file; of a Python package, below ``site-packages``."""
    soname: str
    command: int = 0
    """Number of the command, from 1, in whose result the file is; with neither it is the project's own."""


@dataclass(frozen=True)
class PythonLibraryRequest:
    """A question to whoever knows which Python packages bring shared libraries."""

    config: Config
    wheels: tuple[Wheel, ...]
    """What the project's requirements resolved to."""
    needs: tuple[LibraryNeed, ...]
    """What files link to and nothing around them has."""
    named: tuple[LibraryNeed, ...]
    """Versioned names of libraries that stand in files as text: what is loaded at run time is among them, and
    so is what is merely tried. Looked for when the project asks for a GPU, in wheels that do not require
    libraries of their own choice, and without those that the loader finds beside the file."""
    asked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Every library that files link to or name, met or not, by owner."""
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Requires-Dist (core metadata) of each wheel, by name; nothing of those that are built from source."""


@dataclass(frozen=True)
class FoundRequirement:
    """A Python package that brings libraries."""

    requirement: str
    """A requirement line; may be an extra of a package that is there already: ``a-package[cuda]``."""
    because: str
    """A sentence for the lock."""
    otherwise: tuple[FoundRequirement, ...] = ()
    """What brings the libraries as well, to be tried where this does not fit beside the project's own."""


@dataclass(frozen=True)
class LibraryRequest:
    """A question to whoever knows the system's libraries."""

    suite: str
    needs: tuple[LibraryNeed, ...]
    distributions: tuple[str, ...]
    """Normalised names of all Python packages: some load libraries or start programs by name."""
    built: tuple[str, ...]
    """Those of them that are built from source, so that nothing could be read of them."""
    present: tuple[Deb, ...]
    """The system packages that are in the image, already downloaded."""
    gpu: bool = False
    """Whether the project asks for a GPU."""


@dataclass(frozen=True)
class FoundLibrary:
    """A system package that brings something needed."""

    package: str
    need: LibraryNeed


@dataclass(frozen=True)
class LibraryResolution:
    """The answer. A need that is in neither list is met, or counts for nothing (an optional plugin)."""

    found: tuple[FoundLibrary, ...]
    missing: tuple[LibraryNeed, ...]
    """What no package of the suite has."""
    seals: tuple[tuple[str, str], ...] = ()
    """``(package, seal)``: of the front of each package that was looked into."""


@dataclass(frozen=True)
class ProgramRequest:
    """A question to whoever knows the system's programs."""

    suite: str
    programs: tuple[str, ...]
    """Names that the project's source starts, and that neither it nor its Python packages bring."""
    present: tuple[Deb, ...]
    """The system packages that are in the image."""


@dataclass(frozen=True)
class ToolkitRequest:
    """A question to whoever knows compilers for GPUs."""

    config: Config
    suite: str
    """Debian suite of the system that builds run in."""
    wheels: tuple[Wheel, ...]
    """The project's Python packages; ``Source.device_code`` tells which of them need a compiler."""


@dataclass(frozen=True)
class ToolkitChoice:
    """The answer: what the compiler is made of, to be resolved, and what builds have to know of it."""

    name: str
    """``CUDA 12.4``"""
    requirements: tuple[tuple[str, ...], ...]
    """Sets of requirement lines, each resolved by itself."""
    packages: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """``(suite, component, names)``: system packages that are unpacked."""
    build_packages: tuple[str, ...] = ()
    """System packages that are installed where builds run."""
    host_compiler: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    variables: tuple[str, ...] = ()
    commands: bool = False
    """These four as in the lock's ``toolkit``."""
    suite: str = ""
    """The suite that builds need, when it is not the request's; everything is resolved there then."""
    because: str = ""
    """A sentence that says why it is that suite."""


@dataclass(frozen=True)
class ProgramFiles:
    """What programs are made of that a plugin provides."""

    files: tuple[Artifact, ...]
    record: str
    """What the plugin has to know to make them of these files, also where its own version is another."""


@dataclass(frozen=True)
class ContainerRequest:
    """What to start."""

    image: str
    env: Mapping[str, str] = field(default_factory=dict)
    gpus: str | None = None
    """As Docker's ``--gpus``; None: none."""
    command: tuple[str, ...] | None = None
    """Overrides the image's Cmd."""
    mounts: tuple[tuple[Path, str], ...] = ()
    """``(host path, container path)``."""
    read_only: tuple[tuple[Path, str], ...] = ()
    """The same, of folders and files that the container may not write to."""
    port: int | None = None
    """Host port on loopback for the container's port 5000; None: a free one. Without effect when
    ``interactive`` or ``publish`` is set."""
    interactive: bool = False
    """Connect the streams before the first line is written: ``InteractiveContainer`` is started."""
    stdin: bool = False
    """Keep the container's stdin open until the other end closes it."""
    tty: bool = False
    """Give it a terminal of its own; stdout and stderr are then one stream."""
    size: tuple[int, int] | None = None
    """Rows and columns of that terminal before the command looks; None: as it happens to be."""
    publish: tuple[tuple[str, int, int], ...] = ()
    """``(host address, host port, container port)``; nothing else is published then."""
    workdir: str | None = None
    """Folder it starts in; None: the image's."""
    entrypoint: tuple[str, ...] | None = None
    """Overrides the image's Entrypoint."""
    reach_host: bool = False
    """Make this machine known to the container as ``host.docker.internal``."""
    sealed: bool = False
    """Nothing of the image can be written to; ``/tmp`` is in memory, and can."""


@dataclass(frozen=True)
class Finding:
    """What ``cog-nix doctor`` tells about one thing."""

    check: str
    """What was looked at: ``Docker``. Findings of the same check are shown together."""
    severity: Literal["ok", "fixed", "warning", "error"]
    message: str
    """What was found; may be empty when it is ``ok``."""
    remedy: str = ""
    """What to do about it, a command where there is one."""
    fix: Callable[[], None] | None = None
    """Mends it, where that needs no decision; a ``CogNixError`` says why it could not."""
    group: Literal["Config", "Python", "Environment"] = "Environment"
    """The heading that it stands under, as in Cog's own doctor."""
    file: str = ""
    """Where in the project it was found."""
    line: int = 0
    """From 1; 0: the file as a whole."""


@dataclass(frozen=True)
class Invocation:
    """A command as it was called."""

    program: str
    """``cog-nix``, or ``cog`` when the shim stands in its place."""
    command: str
    """``build``; empty when there are only options."""
    arguments: tuple[str, ...]
    """Everything behind the program's name, the command included."""
    native: bool
    """Whether cog-nix does it; otherwise it goes to upstream's ``cog``."""


class Container(Protocol):
    """A running image. Leaving the context stops and removes it, whatever happened."""

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, where the container's port 5000 answers."""

    def alive(self) -> bool:
        """Whether the main process still runs."""

    def logs(self) -> str:
        """Return what the container wrote so far, stdout and stderr together."""

    def follow_logs(self, sink: Callable[[str], None]) -> None:
        """Call ``sink`` with each further line, from a thread, until the container ends."""

    def signal(self, name: str) -> None:
        """Send a signal (``SIGTERM``) to the main process."""

    def wait(self, timeout: float) -> int:
        """Wait for the end; return the exit status."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True)
class Streams:
    """File descriptors that a container's streams are connected to."""

    stdin: int | None
    """None: it reads nothing."""
    stdout: int
    stderr: int


@runtime_checkable
class InteractiveContainer(Protocol):
    """What a container can do as well that was started ``interactive``, where the runtime knows how."""

    def attach(self, streams: Streams) -> int:
        """Copy between the container and the descriptors until it ends; return its exit status."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell the container's terminal its size, in characters; without effect when it has none."""

    def signal(self, name: str) -> None:
        """Send a signal to the main process, as ``Container.signal``."""


@dataclass(frozen=True)
class WorkerRequest:
    """A container to run programs in that make namespaces of their own."""

    image: str
    """Its id, which the runtime holds."""
    command: tuple[str, ...]
    folders: tuple[Path, ...]
    """Folders and files of this machine that it sees, each where it is here."""
    environment: Mapping[str, str] = field(default_factory=dict)


class Worker(Protocol):
    """A running container that ends with its first process, and is removed by the runtime then."""

    def ended(self) -> str | None:
        """Return what it wrote when it has ended, None while it runs."""

    def remove(self) -> None:
        """End and remove it, whatever state it is in."""


@runtime_checkable
class WorkerRuntime(Protocol):
    """What a runtime can do as well that may let containers make namespaces."""

    def start_worker(self, request: WorkerRequest) -> Worker:
        """Start a container as this user, with this machine's network, in which namespaces can be made.

        Raises:
            RuntimeFailure: it cannot be started, or does not see this machine's folders.
        """


@dataclass(frozen=True)
class Held:
    """An image that a runtime holds under a name, and how to find out later whether it still does."""

    id: str
    """The image's, as the runtime tells it."""
    socket: str = ""
    """Path of a local socket, where a daemon is asked; "": files tell."""
    path: str = ""
    """What to get there (HTTP); the answer is a JSON object with ``Id``."""
    read: tuple[str, ...] = ()
    """Files that say which daemon is meant, or what the name stands for; also those that are not there."""
    present: tuple[str, ...] = ()
    """Paths that have to be there."""


@runtime_checkable
class RememberedRuntime(Protocol):
    """What a runtime can do as well that need not be loaded to find out whether it still holds an image."""

    def held(self, reference: str) -> Held | None:
        """Return how to find out; None where only the runtime can tell, or there is no such image."""


@runtime_checkable
class ExaminedContainer(Protocol):
    """What a container can do as well that can be looked into."""

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside the main process; return its exit status, and stdout and stderr together.

        Raises:
            RuntimeFailure: the container has ended.
        """


@runtime_checkable
class ExaminedRuntime(Protocol):
    """What a runtime can do as well whose images ``cog-nix check`` can try."""

    def image_attributes(self, reference: str) -> Mapping[str, Any]:
        """Return ``Id``, ``Config``, ``Os``, ``Architecture`` and ``RootFS`` of a held image.

        They are named and mean as in the Docker Engine API, "ImageInspect".

        Raises:
            ImageError: there is no such image.
        """

    def listening_address(self) -> str:
        """Return where on this machine has to listen what containers reach (``reach_host``)."""


@runtime_checkable
class SavingRuntime(Protocol):
    """What a runtime can do as well that gives back the images it holds, byte for byte."""

    def save(self, reference: str, archive: Path) -> None:
        """Write a held image to a file, as ``docker save`` does.

        Raises:
            ImageError: there is no such image, or it cannot be written.
        """


@runtime_checkable
class UnpackedRuntime(Protocol):
    """What a runtime can do as well that keeps layers unpacked, and lets their files be read."""

    def layer_origins(self, reference: str) -> Sequence[str]:
        """Return what made each layer of a held image (OCI image-spec, config.md, "created_by"), or "".

        Raises:
            ImageError: there is no such image.
        """

    def open_layer(self, reference: str, number: int) -> AbstractContextManager[IO[bytes]]:
        """Yield a tar of a layer's files, by its number from 0: not the bytes that its digest is of.

        Raises:
            ImageError: there is no such image, or a file of it has changed.
            UnreadableFileError: a file cannot be read.
        """


@runtime_checkable
class ListedRuntime(Protocol):
    """What a runtime can do as well that tells which layers its images share."""

    def held_layers(self) -> Mapping[str, Sequence[str]]:
        """Return the digests of held images' layers, uncompressed, by a name of each.

        Raises:
            RuntimeFailure: they cannot be listed.
        """


@runtime_checkable
class TriedRuntime(Protocol):
    """What a runtime can do as well that may answer where it can start nothing."""

    def why_no_containers(self) -> str | None:
        """Try, before ``auto`` takes the runtime; return None when containers start, otherwise why not."""


@runtime_checkable
class PreparingRuntime(Protocol):
    """What a runtime can do as well that can prepare for an image while it is made."""

    def expect(self, reference: str) -> None:
        """Prepare; ``load`` under that name may follow, or nothing."""


class Runtime(Protocol):
    """Something that holds images and runs them."""

    name: str
    """As ``--runtime`` takes it: ``docker``."""
    title: str
    """Where a command runs, as it is told: ``Docker``, or ``a container`` where no name means much."""
    shares_network: bool
    """Whether containers have this machine's network instead of one of their own: nothing keeps a port that a
    program opens on all interfaces from other machines."""

    def available(self) -> str | None:
        """Return None when usable, otherwise why not, in a sentence."""

    def image_id(self, reference: str) -> str | None:
        """Return ``sha256:…`` of a held image, or None."""

    def image_labels(self, reference: str) -> dict[str, str]:
        """Return a held image's labels.

        Raises:
            ImageError: there is no such image.
        """

    def pull(self, reference: str, reporter: Reporter, platform: Platform | None = None) -> None:
        """Fetch an image from its registry. One without `platform` is named where `--platform` is given.

        Args:
            reference: which.
            reporter: shows how far it got.
            platform: what it has to be for; None: of several, what is for the machine that runs containers.

        Raises:
            ImageError: the registry has no such image or cannot be reached.
        """

    def load(self, image: Path, tags: Sequence[str], reporter: Reporter) -> str:
        """Take an image from the store (the path Nix built) under these tags; return its id."""

    def start(self, request: ContainerRequest) -> Container:
        """Start a container.

        Raises:
            RuntimeFailure: it cannot be started.
        """


class Spec:
    """All hooks, each with when it runs, what it takes and what it returns."""

    @hookspec
    def declare_settings(self) -> Sequence[SettingsTable] | None:
        """Runs when cog-nix.toml is read: declare tables of it, which ``Context.settings`` has then.

        A table has a name, a frozen dataclass that it becomes, and for each key what that takes
        (``cog_nix.config.setting``). One whose class is a ``cog_nix.config.model.SystemSettings`` says what
        counts for system packages; of several the first that is declared counts.
        """

    @hookspec
    def download_credentials(self, requirements: Sequence[str]) -> Sequence[str] | None:
        """Runs before the first download: URLs with user and password, which are used for their hosts.

        They are never written anywhere.

        Args:
            requirements: the project's requirement and option lines, which may carry some.
        """

    @hookspec(firstresult=True)
    def provide_interpreter(
        self, python_version: str, pinned: Interpreter | None, context: Context
    ) -> InterpreterChoice | None:
        """Runs first when locking: offer an interpreter for ``build.python_version``.

        Args:
            python_version: minor or patch level, as in cog.yaml.
            pinned: the interpreter of the lock so far, to keep where it still fits; None when it may move.
            context: settings and services.

        Returns:
            An offer, or None to leave it to the next plugin.
        """

    @hookspec
    def describe_system(self) -> SystemFacts | None:
        """Runs when locking, or when a lock or an image is explained: say what is known of base systems.

        The first answer counts; what that lacks of ``programs``, ``database`` and ``builder``, the next has.
        """

    @hookspec(firstresult=True)
    def describe_gpu_libraries(self) -> GpuLibraries | None:
        """Runs when locking, after the Python packages: say how libraries of GPUs' makers are known."""

    @hookspec(firstresult=True)
    def resolve_system_packages(self, request: SystemRequest, context: Context) -> SystemResolution | None:
        """Runs when locking: find the packages of the base system, the interpreter and ``system_packages``.

        Returns:
            The packages a group adds, with dependencies, or None when this plugin does not know the suite.

        Raises:
            LockError: a name is unknown or the set cannot be satisfied.
        """

    @hookspec(firstresult=True)
    def resolve_python_packages(self, request: PythonRequest, context: Context) -> PythonResolution | None:
        """Runs when locking, after the system packages: find a wheel, or a source, for each requirement.

        Raises:
            LockError: the requirements cannot be satisfied.
        """

    @hookspec
    def find_python_libraries(
        self, request: PythonLibraryRequest, context: Context
    ) -> Sequence[FoundRequirement] | None:
        """Runs when locking, after the Python packages: name Python packages for libraries that nothing has.

        Python is then resolved once more with them, beside what the project's own requirements came to, of
        which nothing moves. Where they do not fit so, a warning says it, and the image goes without.

        Raises:
            LockError: a wheel cannot be read.
        """

    @hookspec(firstresult=True)
    def find_libraries(self, request: LibraryRequest, context: Context) -> LibraryResolution | None:
        """Runs when locking, after the Python packages: find system packages for libraries that nothing has.

        Returns:
            Packages to add to the image, or None when this plugin does not know the suite.

        Raises:
            LockError: the suite's index of files is broken.
        """

    @hookspec(firstresult=True)
    def find_programs(self, request: ProgramRequest, context: Context) -> Mapping[str, str] | None:
        """Runs when locking, after the libraries: find system packages for programs that nothing has.

        Asked only where the project's source starts some. A package that does not fit what is there is left
        out with a warning.

        Returns:
            The package to add for each program, by its name, without those that are there, that no package
            has, or that are of no use in an image; or None when this plugin does not know the suite.

        Raises:
            LockError: the suite's index of files is broken.
        """

    @hookspec(firstresult=True)
    def find_fixes(
        self, updates: Sequence[tuple[str, Deb]], suite: str, context: Context
    ) -> Mapping[str, Sequence[str]] | None:
        """Runs when what changed is told: tell which security holes newer system packages close.

        Each of ``updates`` has the version so far, and the package that comes.

        Returns:
            Identifiers (``CVE-2024-1234``) by the package's name, without packages that close none; or None
            when this plugin does not know the suite.

        Raises:
            FetchError: what tells it cannot be fetched; one line is said instead.
        """

    @hookspec(firstresult=True)
    def provide_toolkit(self, request: ToolkitRequest, context: Context) -> ToolkitChoice | None:
        """Runs when locking, after the Python packages: offer a compiler for GPUs to builds that need one.

        Returns:
            What it is made of, or None when no build needs one.

        Raises:
            LockError: one is needed, and there is none that fits.
        """

    @hookspec
    def image_environment(self, config: Config, lock: Lock) -> Mapping[str, str] | None:
        """Runs when locking, last: environment variables to add to the image. cog.yaml's own win."""

    @hookspec
    def image_labels(self, config: Config, lock: Lock) -> Mapping[str, str] | None:
        """Runs when locking, last: labels to add to the image. Upstream's own cannot be replaced."""

    @hookspec(firstresult=True)
    def provide_programs(self, name: Literal["nix", "container"], context: Context) -> Path | None:
        """Runs when this machine has no program that will do: offer a folder of programs that work here.

        Args:
            name: ``nix`` asks for ``nix``, ``nix-build`` and ``nix-store``, 2.8 or newer; ``container`` asks
                for an engine (``bwrap``, ``crun`` or ``runc``) with ``mount``, ``setpriv``,
                ``tar`` and ``unshare``.
            context: settings and services.

        Returns:
            The folder, whose programs may be on the ``PATH``, or None to leave it to the next plugin.

        Raises:
            FetchError: they cannot be downloaded.
        """

    @hookspec(firstresult=True)
    def describe_programs(self, name: Literal["nix", "container"], context: Context) -> ProgramFiles | None:
        """Runs for ``cog-nix archive``: tell which files ``provide_programs`` makes programs of.

        Args:
            name: as for ``provide_programs``.
            context: settings and services.

        Returns:
            The files, with a record for ``recall_programs``, or None to leave it to the next plugin.
        """

    @hookspec(firstresult=True)
    def recall_programs(
        self,
        name: Literal["nix", "container"],
        record: str,
        trusted: bool,  # noqa: FBT001 - hooks have no others
        context: Context,
    ) -> bool | None:
        """Runs before ``provide_programs`` where an archive is built from: go by the files that it has.

        These programs run as the user, so files that the plugin does not know must be trusted by the user.

        Args:
            name: as for ``provide_programs``.
            record: what ``describe_programs`` returned when the archive was made, or whatever was put there.
            trusted: whether the user trusts who made the archive.
            context: settings and services.

        Returns:
            False where they are not gone by since nobody trusts them; None to leave it to the next plugin.
        """

    @hookspec
    def origins_of(
        self, files: Sequence[Artifact], lock: Lock | None, requirements: Sequence[str], context: Context
    ) -> Mapping[str, Sequence[Alternative]] | None:
        """Runs when a file cannot be had from its URL: name other places where it may be.

        What comes is taken when its sha256 is right, so a guess does no harm. All plugins are asked, and
        their places are tried in the order of the plugins.

        Args:
            files: which; those that this plugin knows nothing of are left out of the answer.
            lock: that of the project, which knows from when its indexes are; None where there is none.
            requirements: lines of its requirements file, which may name indexes.
            context: settings and services.

        Returns:
            Places by sha256, each list in the order in which they are to be asked.
        """

    @hookspec
    def runtime_names(self) -> Sequence[str] | None:
        """Runs when an image is loaded or run: name the runtimes that ``provide_runtime`` offers.

        Where nobody names one, the first that is usable is taken, in the order in which plugins are asked.
        """

    @hookspec(firstresult=True)
    def provide_runtime(self, name: str, reporter: Reporter) -> Runtime | None:
        """Runs when an image is loaded or run: offer the runtime of this name (``docker``).

        Args:
            name: which.
            reporter: hears of what has to be fetched before it can be used.
        """

    @hookspec
    def register_commands(self, app: typer.Typer) -> None:
        """Runs when the command line starts: add subcommands to ``app``.

        A command with a ``typer.Context`` finds in its ``obj`` the plugins, the reporter and the runtime that
        was chosen (``cog_nix.cli.session.Session``).
        """

    @hookspec
    def diagnose(self, context: Context, project: Project | None) -> Iterable[Finding] | None:
        """Runs for ``cog-nix doctor``: look at what this plugin works with, and change nothing.

        Args:
            context: settings and services.
            project: the one here; None: there is none.
        """

    @hookspec
    def before_command(self, invocation: Invocation) -> None:
        """Runs before each command. Raise a CogNixError to keep it from running."""

    @hookspec(firstresult=True)
    def instead_of_command(self, invocation: Invocation) -> int | None:
        """Runs after every ``before_command``: do what the command would.

        Returns:
            The exit status, or None to leave the command to the next plugin and at last to cog-nix.
        """

    @hookspec
    def after_command(self, invocation: Invocation, status: int) -> None:
        """Runs after each command, failed and interrupted ones as well, with the exit status."""

    @hookspec
    def before_build(self, project: Project, config: Config) -> None:
        """Runs before anything is locked or built. Raise a CogNixError to stop the build."""

    @hookspec
    def after_build(self, project: Project, config: Config, image: Path, details: Mapping[str, Any]) -> None:
        """Runs after the image is built: ``image`` is the store path, ``details`` its id, tags and size."""
