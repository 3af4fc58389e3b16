"""The values of a lock: everything that an image is made from, pinned by hash.

A URL says where to look; the sha256 is what counts, so any mirror serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cog_nix.lock.reasons import Reason  # noqa: TC001 - msgspec reads the annotations
from cog_nix.system.platforms import AMD64, BUILDER, PLATFORMS, Platform


@dataclass(frozen=True)
class Artifact:
    """One file to fetch."""

    filename: str
    """The last part of the URL, unquoted: ``tini_0.19.0-3+b8_amd64.deb``."""
    url: str
    sha256: str
    """Lower-case hexadecimal."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Deb:
    """A binary Debian package (Debian Policy 5.3)."""

    package: str
    version: str
    architecture: str
    artifact: Artifact
    depends: tuple[str, ...] = ()
    """Names of the packages in the same lock that this one pulled in (Depends and Pre-Depends), sorted."""


@dataclass(frozen=True)
class Source:
    """How the build makes a wheel out of what an artifact holds (PEP 517)."""

    kind: str
    """``sdist`` (PEP 625), ``archive`` (any other source archive), ``git`` or ``folder``."""
    requires: tuple[Wheel, ...] = ()
    """The build environment: what ``build-system.requires`` and the backend's own hooks ask for, resolved."""
    isolated: bool = True
    """Whether the build sees ``requires`` alone; otherwise it sees some of the project's wheels as well."""
    subdirectory: str = ""
    """Where in the archive the project is (PEP 610)."""
    revision: str = ""
    """What a git requirement asked for: a branch, a tag, a commit; "" for the repository's own branch."""
    sees: tuple[str, ...] = ()
    """Names of the project's wheels that the build sees as the image has them, when it is not isolated."""
    device_code: bool = False
    """Whether it compiles code for GPUs, as far as its source tells."""


@dataclass(frozen=True)
class Wheel:
    """A distribution as the image has it: a wheel, or a source that a wheel is built from first."""

    name: str
    """Normalised name (PEP 503)."""
    version: str
    artifact: Artifact
    """The wheel (PyPA binary distribution format), or the source's archive."""
    depends: tuple[str, ...] = ()
    """Normalised names of the wheels in the same lock that this one requires here, sorted."""
    source: Source | None = None
    """None: the artifact is a wheel."""
    origin: str = ""
    """What a direct reference points to (PEP 610), as ``pip freeze`` shows it; "" for all others."""


@dataclass(frozen=True)
class Index:
    """A Debian index that packages were taken from, as found when locking."""

    uri: str
    suite: str
    component: str
    architecture: str
    date: str
    """The Release file's Date, as ISO 8601 in UTC."""
    sha256: str
    """Of the Packages file named by the signed Release file."""


@dataclass(frozen=True)
class Seed:
    """The Python tree that runs every builder inside Nix."""

    python: str
    """Minor version, ``3.13``."""
    debs: tuple[Deb, ...]
    wheels: tuple[Wheel, ...]
    nar_sha256: str
    """SRI hash (``sha256-…``) of the unpacked tree's NAR."""
    found_in: tuple[Index, ...] = ()
    """The indexes that its packages were taken from: a seed stays while the project's packages move on."""
    platform: str = ""
    """Name of what it runs on (:mod:`cog_nix.system.platforms`); "": linux/amd64."""

    @property
    def runs_here(self) -> bool:
        """Whether it is for machines like this one."""
        return (self.platform or AMD64.name) == BUILDER.name


@dataclass(frozen=True)
class Interpreter:
    """Where the project's Python comes from."""

    kind: str
    """``debian``: the packages are among the lock's base debs."""
    version: str
    """Full version, ``3.13.5``."""
    executable: str
    """Path in the image, ``/usr/bin/python3.13``."""
    artifact: Artifact | None = None
    """The archive it is unpacked from, when it is no Debian package."""


@dataclass(frozen=True)
class Run:
    """What a command of ``run:`` (``pre_install:`` comes after those) left behind the first time it ran."""

    command: str
    key: str
    """``sha256:…`` over the command and everything it ran on; a result with another key is stale."""
    nar_sha256: str
    """SRI hash (``sha256-…``) of the result's NAR: the fragment that becomes a layer."""


@dataclass(frozen=True)
class NixPackage:
    """A Nix package that goes into the image with all that it refers to."""

    reference: str
    """As cog-nix.toml has it: ``./tool.nix#attribute``, ``github:owner/repository#attribute``."""
    file: str
    """A Nix file, relative to the project; "" for a flake."""
    flake: str
    """The flake, locked to a revision and a hash, or a folder relative to the project; "" for a file."""
    attribute: str
    """Name in the file or flake; "" for the file itself or the flake's default."""


@dataclass(frozen=True)
class Toolkit:
    """A compiler for GPUs: there in builds, at a place of its own, and never in the image."""

    name: str
    """``CUDA 12.4``"""
    debs: tuple[Deb, ...]
    """Packages that it is made of; they are unpacked, not installed."""
    wheels: tuple[Wheel, ...]
    """Python distributions that it is made of, sorted by name; the same."""
    host_compiler: str = ""
    """Major version of GCC that it works with (``13``); "": the build system's own."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables of builds that see it, by name. The project's own win."""
    variables: tuple[str, ...] = ()
    """Names of further variables that source builds take from the project when they see it."""
    commands: bool = False
    """Whether commands see it; source builds do whose source compiles for GPUs."""
    found_in: tuple[Index, ...] = ()
    """The indexes that its packages were taken from, which may be of another suite than the project's."""


@dataclass(frozen=True)
class ReferencedFile:
    """A file that cog-nix.toml names by its URL."""

    path: str
    """As it stands there."""
    url: str
    """As it stands there; another one is another file."""
    sha256: str
    size: int
    """Bytes."""
    commit: str = ""
    """What the revision of a hub's repository stood for."""
    mount: bool = False
    """Whether it is mounted, and not in the image."""


@dataclass(frozen=True)
class Lock:
    """A whole cog-nix.lock."""

    inputs: str
    """``sha256:…`` over what the lock was resolved for (see :mod:`cog_nix.resolve.inputs`)."""
    suite: str
    indexes: tuple[Index, ...]
    seed: Seed
    """This machine's, where there is one (:attr:`seeds`)."""
    interpreter: Interpreter
    base: tuple[Deb, ...]
    """The core of the base system, in every image; in a canonical order."""
    essential: tuple[Deb, ...]
    """The rest of Debian's essential packages: there in builds, and in images with system packages."""
    python: tuple[Deb, ...]
    """The interpreter's packages that the base does not hold."""
    system: tuple[Deb, ...]
    """What ``system_packages`` asks for beyond those."""
    wheels: tuple[Wheel, ...]
    libraries: tuple[Deb, ...] = ()
    """What nobody named: packages with shared libraries that wheels or the project's files link to."""
    linked: tuple[Deb, ...] = ()
    """The same for what commands and source builds made, known once that is there; installed on top of it."""
    build: tuple[Deb, ...] = ()
    """Compilers and tools that source builds and commands may count on; never in the image."""
    cog_base: bool = False
    """Whether ``system`` has the packages of Cog's base image (:mod:`cog_nix.resolve.cog_base`)."""
    programs: tuple[str, ...] | None = None
    """Programs that the project's source started when it was locked, sorted; None: it was not looked into."""
    runs: tuple[Run, ...] = ()
    """Results of commands, in their order; those that never ran are missing."""
    reasons: tuple[Reason, ...] = ()
    """Why packages that nobody named, or by another name, are there; one for each, by package."""
    layers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """``(layer name, members)`` from bottom to top; members are ``deb:NAME``, ``wheel:NAME``, ``run:0`` and
    the like."""
    links: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """Files of wheels that become links to what is the same: by wheel ``(path, target)`` below
    ``site-packages``."""
    facts: tuple[tuple[str, str], ...] = ()
    """By what was read of files it was made: ``(wheel, seal)`` and ``(deb:PACKAGE, seal)``
    (:mod:`cog_nix.resolve.wheel_facts`)."""
    packages: tuple[NixPackage, ...] = ()
    """Nix packages, in the order of cog-nix.toml."""
    environment: tuple[tuple[str, str], ...] = field(default=())
    """Image environment that plugins add."""
    labels: tuple[tuple[str, str], ...] = field(default=())
    """Image labels that plugins add."""
    toolkit: Toolkit | None = None
    """The compiler for GPUs that builds see; None: no build needs one."""
    files: tuple[ReferencedFile, ...] = ()
    """Files by reference, as they were when they were first fetched; by path."""
    platform: str = ""
    """Name of what the image is for (:mod:`cog_nix.system.platforms`); "": linux/amd64, as in all locks that
    were made when there was no other."""
    seeds: tuple[Seed, ...] = ()
    """Those of machines with other processors, that built this as well."""

    @property
    def target(self) -> Platform:
        """What the image is for."""
        return PLATFORMS[self.platform] if self.platform else AMD64

    @property
    def installed(self) -> tuple[Deb, ...]:
        """All packages that an image may have: those of builds and the seed's are left out."""
        return (*self.base, *self.essential, *self.python, *self.system, *self.libraries, *self.linked)

    @property
    def all_indexes(self) -> tuple[Index, ...]:
        """The Debian indexes that anything was taken from: the project's, the seed's, the toolkit's."""
        toolkit = self.toolkit.found_in if self.toolkit else ()
        seeds = [index for seed in self.all_seeds for index in seed.found_in]
        return tuple(dict.fromkeys((*self.indexes, *seeds, *toolkit)))

    @property
    def all_seeds(self) -> tuple[Seed, ...]:
        """The builders' Python for each kind of machine that built this, in a canonical order."""
        return tuple(sorted((self.seed, *self.seeds), key=lambda one: one.platform))

    @property
    def debs(self) -> tuple[Deb, ...]:
        """All packages but the seed's."""
        return (*self.installed, *self.build)
