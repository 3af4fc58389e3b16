"""cog.yaml as frozen values: what the rest of cog-nix works with.

The names follow the Cog reference for cog.yaml. A :class:`Config` is complete: defaults are filled in, the
requirements file is read, deprecated keys are folded into their successors. Nothing downstream validates
again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003 - dataclass fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cog_nix.system.packing import Packing
from cog_nix.system.platforms import AMD64, Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@dataclass(frozen=True)
class Mount:
    """A mount of a ``run:`` command (``type: secret`` is the one Cog documents)."""

    type: str
    id: str
    target: str


@dataclass(frozen=True)
class RunCommand:
    """One entry of ``build.run``."""

    command: str
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Build:
    """The ``build:`` section, completed."""

    gpu: bool = False
    python_version: str = "3.13"
    python_requirements: str | None = None
    """Path of the requirements file as written in cog.yaml, relative to the project."""
    python_packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    """Requirement and option lines, from ``python_packages`` or the requirements file, without comments."""
    system_packages: tuple[str, ...] = ()
    run: tuple[RunCommand, ...] = ()
    pre_install: tuple[str, ...] = ()
    cuda: str | None = None
    """As completed: what cog.yaml names, or else what the packages are known to go with."""
    cuda_named: str | None = None
    """What cog.yaml names."""
    cudnn: str | None = None
    sdk_version: str | None = None


@dataclass(frozen=True)
class Traces:
    """``observability.traces``: OpenTelemetry in the image's server, with Cog's defaults."""

    enabled: bool = False
    sampler: str = "parentbased_always_off"
    sampler_arg: str | None = None
    trace_header: str | None = None
    trace_header_format: str = "w3c"


@dataclass(frozen=True)
class Observability:
    """The ``observability:`` section."""

    config: str | None = None
    """Python file that sets up the tracer, relative to the project."""
    traces: Traces | None = None


@dataclass(frozen=True)
class WeightSource:
    """Where files of a weight come from."""

    uri: str
    include: tuple[str, ...] | None = None
    """Glob patterns; None: not given, which is not the same as none of them."""
    exclude: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Weight:
    """One entry of ``weights:``: a folder that is not in the image, but beside it."""

    name: str
    target: str
    """Absolute path in the container."""
    sources: tuple[WeightSource, ...]


@dataclass(frozen=True)
class Config:
    """A whole cog.yaml, completed."""

    build: Build = field(default_factory=Build)
    image: str | None = None
    model: str | None = None
    predict: str | None = None
    """Reference ``file.py:Name`` from ``run:`` or ``predict:``."""
    train: str | None = None
    concurrency_max: int | None = None
    observability: Observability | None = None
    weights: tuple[Weight, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """``NAME``, ``value`` pairs in the order of the file."""
    label: str = "{}"
    """The value of ``run.cog.config``: the completed configuration as upstream serialises it."""

    @property
    def tracing(self) -> Traces | None:
        """What is traced, where tracing is switched on."""
        traces = self.observability.traces if self.observability else None
        return traces if traces and traces.enabled else None

    @property
    def tracing_setup(self) -> str | None:
        """The project's own file that sets up tracing, where tracing is switched on."""
        return self.observability.config if self.observability and self.tracing else None


@dataclass(frozen=True)
class SystemSettings:
    """What cog-nix.toml says of system packages.

    A plugin that resolves them declares a table whose class begins with these keys.
    """

    suite: str | None = None
    """Override of the base suite that follows the interpreter."""
    cog_base: bool | None = None
    """Whether Cog's base image's packages come (:mod:`~cog_nix.resolve.cog_base`); None: as locked."""
    programs: bool = True
    """Whether packages are added for programs that the source starts and nothing else brings."""
    ignore_programs: tuple[str, ...] = ()
    """Programs that nothing is added for."""


@dataclass(frozen=True)
class PythonSettings:
    """The ``[python]`` table of cog-nix.toml."""

    exclude_newer: str | None = None
    """RFC 3339 date handed to uv: distributions published later are not considered."""
    mirror: str | None = None
    """Base URL of a mirror of the CPython builds that uv installs; None: where uv has them from."""
    no_build_isolation: tuple[str, ...] = ()
    """Normalised names of packages whose builds see the project's packages."""
    build_requires: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """``(normalised name, requirements)``: what the build of a package needs and does not ask for."""
    extras: tuple[str, ...] = ()
    """Extras of the Python project that ``python_requirements`` names."""
    groups: tuple[str, ...] | None = None
    """Its dependency groups (PEP 735); None: those that uv installs by default."""
    legacy: bool = False
    """Whether Pythons are taken that Cog has given up (:mod:`cog_nix.config.legacy`)."""

    def build_requires_of(self, name: str) -> tuple[str, ...]:
        """Return what is added to the build of a package, by its normalised name."""
        return dict(self.build_requires).get(name, ())


@dataclass(frozen=True)
class LayerSettings:
    """The ``[layers]`` table of cog-nix.toml."""

    heavy_bytes: int = 20_000_000
    """A wheel of at least this many bytes (as downloaded) is a layer of its own."""
    budget: int = 60
    """At most so many layers altogether."""


@dataclass(frozen=True)
class NixSettings:
    """The ``[nix]`` table of cog-nix.toml."""

    packages: tuple[str, ...] = ()
    """Nix packages for the image: Nix files of the project and flake references, with ``#attribute``."""
    substituters: tuple[str, ...] = ()
    """Binary caches that layers may come from; these three count once the user trusts them."""
    trusted_public_keys: tuple[str, ...] = ()
    """Whose signatures count, ``NAME:KEY``."""
    builders: tuple[str, ...] = ()
    """Machines that build, as Nix's ``builders`` has them."""


@dataclass(frozen=True)
class GpuSettings:
    """The ``[gpu]`` table of cog-nix.toml."""

    toolkit: bool | str | None = None
    """Whether builds see a compiler for GPUs, or the version of it; None: where they seem to need one."""
    compiler: bool = True
    """Whether an image comes with the compiler that its packages run (Triton, ``torch.compile``)."""


Compression = Literal[Packing, "auto"]


@dataclass(frozen=True)
class PushSettings:
    """The ``[push]`` table of cog-nix.toml."""

    compression: Compression = "gzip"
    """How layers are compressed for registries, where ``--compression`` says nothing; ``auto``: as the
    registry is known to take them."""


@dataclass(frozen=True)
class Check:
    """A ``[[check]]`` of cog-nix.toml: an input, and what the model has to make of it.

    Without an expectation it has to answer, whatever that is.
    """

    name: str
    input: dict[str, Any] = field(default_factory=dict)
    """JSON; a text that begins with ``@`` names a file of the project."""
    output: Any = None
    """The answer; None: not given, as TOML has no null."""
    output_file: str | None = None
    """A file of the project that the answer has to be."""
    pattern: str | None = None
    """A regular expression that is found in the answer's text."""
    near: Any = None
    """The answer, but for numbers that are off by ``tolerance`` at most."""
    tolerance: float | None = None
    refused: str | None = None
    """A regular expression that is found in the message with which the model refuses the input, or fails."""


@dataclass(frozen=True)
class RunSettings:
    """The ``[run]`` table of cog-nix.toml."""

    keep: int = 0
    """Seconds that a model stays warm after a run; 0: it does not."""


@dataclass(frozen=True)
class ServeSettings:
    """The ``[serve]`` table of cog-nix.toml."""

    watch: tuple[str, ...] = ()
    """Patterns of files besides the Python files whose edit restarts the worker, relative to the project."""


@dataclass(frozen=True)
class ImageSettings:
    """The ``[image]`` table of cog-nix.toml."""

    user: str = ""
    """Who runs the model: a user and perhaps a group, ``uid[:gid]``, or names of them; "": root."""
    platforms: tuple[str, ...] = ()
    """Names of the platforms that the image is for (:mod:`cog_nix.system.platforms`); none: linux/amd64."""

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group by number, where they are given so; the group is 0 where there is none."""
        user, _, group = self.user.partition(":")
        numeric = user.isdecimal() and (not group or group.isdecimal())
        return (int(user), int(group or 0)) if numeric else None


@dataclass(frozen=True)
class OriginSettings:
    """The ``[origins]`` table of cog-nix.toml."""

    archives: tuple[str, ...] = ()
    """URLs of archives of inputs (folders) that are asked for a file after all other places."""


@dataclass(frozen=True)
class WeightFile:
    """A file by reference: one of ``files`` in the ``[weights]`` table of cog-nix.toml."""

    path: str
    """Where it goes: relative to the project's folder, or absolute in the image."""
    url: str
    """``http(s)://…`` or ``hf://org/repo[@revision]/path``."""
    sha256: str | None = None
    """Of its contents; None: as it was when it was first fetched."""
    mount: bool = False
    """Whether it is mounted when the model runs here, and not in the image."""


@dataclass(frozen=True)
class WeightsSettings:
    """The ``[weights]`` table of cog-nix.toml."""

    files: tuple[WeightFile, ...] = ()


@dataclass(frozen=True)
class Settings:
    """cog-nix.toml: what only cog-nix knows. Every table and key may be missing."""

    python: PythonSettings = field(default_factory=PythonSettings)
    layers: LayerSettings = field(default_factory=LayerSettings)
    nix: NixSettings = field(default_factory=NixSettings)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    check: tuple[Check, ...] = ()
    run: RunSettings = field(default_factory=RunSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    origins: OriginSettings = field(default_factory=OriginSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    push: PushSettings = field(default_factory=PushSettings)
    tables: Mapping[str, object] = field(default_factory=dict)
    """What plugins declared (:class:`~cog_nix.config.setting.SettingsTable`), by the tables' names."""

    def table(self, kind: type[T]) -> T:
        """Return the table of a plugin that is of this class; where it is not declared, one of defaults."""
        return next((one for one in self.tables.values() if isinstance(one, kind)), kind())

    @property
    def system(self) -> SystemSettings:
        """What is said of system packages."""
        return self.table(SystemSettings)

    def with_system(self, system: SystemSettings) -> Settings:
        """Return them with something else said of system packages."""
        name = next((name for name, one in self.tables.items() if isinstance(one, SystemSettings)), "")
        return replace(self, tables={**self.tables, name: system})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Return a plugin's table by its name, as plugins had it before they declared tables."""
            try:
                return vars(self)["tables"][name]
            except KeyError:
                raise AttributeError(name) from None


@dataclass(frozen=True)
class Project:
    """Where a model lives."""

    root: Path
    """The folder that holds the configuration file; what becomes ``/src``."""
    config_path: Path
    """The configuration file, usually ``root / "cog.yaml"``."""
    platform: Platform = AMD64
    """What its image is made for."""

    @property
    def lock_path(self) -> Path:
        """``cog-nix.lock`` beside the configuration."""
        return self.root / "cog-nix.lock"

    @property
    def settings_path(self) -> Path:
        """``cog-nix.toml`` beside the configuration; may be missing."""
        return self.root / "cog-nix.toml"

    @property
    def state_dir(self) -> Path:
        """``.cog/``: what is remembered between builds; never part of the image.

        Where the project cannot be written to, a folder of the user's cache stands in for it.
        """
        shared = self.shared_state_dir
        return shared if self.platform.is_usual else shared / self.platform.architecture

    @property
    def shared_state_dir(self) -> Path:
        """The same for what no platform makes different."""
        own = self.root / ".cog"
        if self.writable or os.access(own, os.W_OK):
            return own
        from cog_nix.system.paths import cache_dir  # noqa: PLC0415 - builds, where parts run, go without

        return cache_dir() / "projects" / hashlib.sha256(os.fsencode(self.root)).hexdigest()[:32]

    @property
    def writable(self) -> bool:
        """Whether something new can be made in the project's folder."""
        return os.access(self.root, os.W_OK)
