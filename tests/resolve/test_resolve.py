"""From a configuration to a lock, through plugins that answer from memory."""

from __future__ import annotations

import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from cog_nix.config.model import (
    Build,
    Config,
    Observability,
    Project,
    RunCommand,
    Settings,
    Traces,
)
from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.errors import FetchError, LockError, PluginError
from cog_nix.lock.format import artifacts_of
from cog_nix.lock.model import Artifact, Index, Interpreter, Run, Seed, Toolkit
from cog_nix.lock.pins import Pins
from cog_nix.lock.reasons import parse
from cog_nix.lock.run_keys import keys
from cog_nix.lock.upgrade import Upgrade
from cog_nix.plugins.manager import Plugins
from cog_nix.plugins.spec import (
    PROJECT_NAME,
    Context,
    FoundLibrary,
    FoundRequirement,
    GpuLibraries,
    InterpreterChoice,
    LibraryRequest,
    LibraryResolution,
    ProgramRequest,
    PythonLibraryRequest,
    PythonRequest,
    PythonResolution,
    Spec,
    SystemFacts,
    SystemRequest,
    SystemResolution,
    ToolkitChoice,
    ToolkitRequest,
    hookimpl,
)
from cog_nix.report import SilentReporter
from cog_nix.resolve import cog_base
from cog_nix.resolve import seed as lock_seed
from cog_nix.resolve.inputs import digest
from cog_nix.resolve.request import Request, Tools
from cog_nix.resolve.stages import resolve, results_lack
from cog_nix_hooks.debian.cog_base import PACKAGES
from cog_nix_hooks.debian.essential import FACTS
from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.nvidia.parts import PARTS
from tests.elf.made import make_elf, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Deb, Lock, Wheel

_CONFIG = Config(build=Build(system_packages=("ffmpeg",), requirements=("numpy>=1",)))
_LATEST = {"ffmpeg": "7:7.1-2", "numpy": "2.1", "cog": "0.23.1", "coglet": "0.1", "pip": "25.0"}
_ARCHIVE = Artifact("cpython-3.12.11.tar.gz", "https://mirror.example.org/cpython-3.12.11.tar.gz", "c0", 9)
_INDEX = Index("https://mirror.example.org/debian", "trixie", "main", "amd64", "2026-01-01", "ab")


class _Resolvers:
    """Knows the latest version of everything, and keeps pins."""

    def __init__(self, deb: Callable[..., Deb], wheel: Callable[..., Wheel]) -> None:
        self.deb, self.wheel, self.made = deb, wheel, wheel
        self.system: list[SystemRequest] = []
        self.python: list[PythonRequest] = []
        self.libraries: list[LibraryRequest] = []
        self.programs: list[ProgramRequest] = []
        self.unfit = ""
        """A package that goes with nothing else."""
        self.pushy = ""
        """A package that moves another one."""
        self.renamed: dict[str, str] = {}
        self.pinned: Interpreter | None = None
        self.toolkits: list[ToolkitRequest] = []
        self.toolkit: ToolkitChoice | None = None
        self.python_reasons: dict[str, str] = {}
        self.python_libraries: list[PythonLibraryRequest] = []
        self.brings: dict[str, FoundRequirement] = {}
        """What brings libraries, by soname."""
        self.refused = ""
        """A requirement that does not fit."""
        self.moved: dict[str, str] = {}
        """Versions that a disobedient resolver comes to when it is asked again; ``gone``: none."""
        self.no_download: set[str] = set()
        """Pythons whose builds cannot be fetched."""
        self.only_for: dict[str, set[str]] = {}
        """The Pythons that there are files for, by requirement."""

    @hookimpl
    def provide_toolkit(self, request: ToolkitRequest) -> ToolkitChoice | None:
        self.toolkits.append(request)
        return self.toolkit

    @hookimpl
    def describe_system(self) -> SystemFacts:
        return FACTS

    @hookimpl
    def describe_gpu_libraries(self) -> GpuLibraries:
        return PARTS

    @hookimpl
    def provide_interpreter(
        self, python_version: str, pinned: Interpreter | None
    ) -> InterpreterChoice | None:
        self.pinned = pinned
        if python_version in self.no_download:
            raise LockError(
                f"Python {python_version} cannot be downloaded", hint="Name a mirror."
            ) from FetchError("x")
        if python_version in {"3.10", "3.11", "3.12"}:
            return InterpreterChoice(
                kind="standalone",
                minor=python_version,
                suite="trixie",
                packages=("media-types", "login"),
                executable=f"/usr/local/bin/python{python_version}",
                version_of="",
                artifact=_ARCHIVE,
                version=f"{python_version}.11",
            )
        if not python_version.startswith("3.13"):
            return None
        return InterpreterChoice(
            kind="debian",
            minor="3.13",
            suite="trixie",
            packages=("python3.13",),
            executable="/usr/bin/python3.13",
            version_of="libpython3.13-minimal",
            wheel_libraries=("libstdc++6",),
        )

    @hookimpl
    def resolve_system_packages(self, request: SystemRequest) -> SystemResolution | None:
        self.system.append(request)
        if request.suite not in {"trixie", "sid"}:
            return None
        named = {name for _, names in request.groups for name in names}
        if self.unfit in named:
            raise LockError(f"{self.unfit} conflicts with bash")
        brought = {
            "base": [
                self.deb("bash", "5.2-1", "libc6"),
                self.deb("libc6", "2.41-13" if self.pushy in named else "2.41-12"),
                self.deb("login", "1-1"),
            ],
            "python": [
                self.deb("libpython3.13-minimal", "3.13.5-2+deb13u1"),
                self.deb("python3.13", "3.13.5-2"),
            ],
            "seed": [
                self.deb("debconf", "1.5"),
                self.deb("libc6", "2.41-12"),
                self.deb("python3.13-minimal", "3.13.5-2+deb13u1"),
            ],
        }
        groups = {
            group: (
                *brought.get(group, []),
                *(
                    self.deb(name, request.pins.get(name) or _LATEST.get(name, "1-1"))
                    for name in names
                    if group in ("system", "libraries", "toolkit") and name != "login"
                ),
            )
            for group, names in request.groups
        }
        versions = {deb.package: deb.version.rpartition("-")[0] for debs in groups.values() for deb in debs}
        return SystemResolution(groups, (_INDEX,), self.renamed, versions)

    @hookimpl
    def find_python_libraries(self, request: PythonLibraryRequest) -> list[FoundRequirement]:
        self.python_libraries.append(request)
        sonames = {need.soname for need in (*request.needs, *request.named)}
        return [self.brings[soname] for soname in sorted(sonames & self.brings.keys())]

    @hookimpl
    def find_libraries(self, request: LibraryRequest) -> LibraryResolution:
        self.libraries.append(request)
        packages = {"libGL.so.1": "libgl1", "libcrypt.so.1": "login"}
        found = [
            FoundLibrary(packages[need.soname], need) for need in request.needs if need.soname in packages
        ]
        known = {*packages, "libc.so.6"}
        return LibraryResolution(
            tuple(found),
            tuple(need for need in request.needs if need.soname not in known),
            tuple((deb.package, "front-1-0") for deb in request.present if deb.package == "bash"),
        )

    @hookimpl
    def find_programs(self, request: ProgramRequest) -> dict[str, str]:
        self.programs.append(request)
        return {name: f"{name}-package" for name in request.programs if name != "pget"}

    @hookimpl
    def resolve_python_packages(self, request: PythonRequest) -> PythonResolution:
        self.python.append(request)
        if self.refused in request.requirements:
            raise LockError(f"no version of {self.refused} fits")
        minor = ".".join(request.python_version.split(".")[:2])
        if any(minor not in self.only_for.get(line, {minor}) for line in request.requirements):
            raise LockError(f"nothing fits Python {minor}")
        moved = self.moved if len(self.python) > 1 else {}
        names = sorted(
            line.partition("=")[0].partition(">")[0].partition("[")[0] for line in request.requirements
        )
        return PythonResolution(
            tuple(
                self.wheel(name, moved.get(name) or request.pins.get(name) or _LATEST.get(name, "1.0"))
                for name in names
                if moved.get(name) != "gone"
            ),
            reasons=self.python_reasons,
        )


@dataclass
class _Fetcher:
    folder: Path
    asked: list[str] = field(default_factory=list)

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        self.asked += [artifact.filename for artifact in wanted]
        return {artifact.sha256: self._file(artifact.filename) for artifact in wanted}

    def in_parts(self, wanted: Sequence[Artifact], read: object) -> dict[str, Any]:
        assert wanted
        assert read
        return {}

    def _file(self, name: str) -> Path:
        """Return a wheel without any file where there is none yet."""
        path = self.folder / name.replace("/", "_")
        if not path.exists():
            make_wheel(path, {})
        return path

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        raise AssertionError(url, max_age)


class _Reporter(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[str] = []
        self.infos: list[str] = []

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, text: str) -> None:
        self.steps.append(text)


@dataclass
class _House:
    resolvers: _Resolvers
    reporter: _Reporter
    fetcher: _Fetcher
    plugins: Plugins
    cache: Path

    def lock(
        self,
        config: Config = _CONFIG,
        former: Lock | None = None,
        upgrade: Upgrade | None = None,
        settings: Settings | None = None,
    ) -> Lock:
        settings = settings or Settings()
        context = Context(settings, self.fetcher, self.reporter, self.cache)  # type: ignore[arg-type]
        project = Project(self.cache / "project", self.cache / "project/cog.yaml")
        image = cog_base.packages(settings, self.plugins)
        request = Request(project, config, settings, image, former, upgrade or Upgrade())
        return resolve(request, Tools(self.plugins, context))


@pytest.fixture
def house(
    deb: Callable[..., Deb], wheel: Callable[..., Wheel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> _House:
    """Return a resolver with plugins, services and ears of its own; no seed is unpacked."""

    @contextmanager
    def begun(wanted: Seed, fetcher: Any, _cache: Path, _nix: Any) -> Iterator[Callable[[], Seed]]:
        fetcher.artifacts(artifacts_of(wanted.debs, wanted.wheels))
        yield lambda: replace(wanted, nar_sha256="sha256-AAAA")

    monkeypatch.setattr(lock_seed, "begun", begun)
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(Spec)
    resolvers = _Resolvers(deb, wheel)
    manager.register(resolvers, name="resolvers")
    manager.check_pending()
    for folder in ("downloads", "project"):
        (tmp_path / folder).mkdir()
    return _House(resolvers, _Reporter(), _Fetcher(tmp_path / "downloads"), Plugins(manager), tmp_path)


def told(lock: Lock) -> tuple[tuple[str, str], ...]:
    return tuple((reason.package, reason.sentence) for reason in lock.reasons)


def test_what_a_resolver_of_wheels_says_is_kept_until_the_pin_may_move(house: _House) -> None:
    house.resolvers.python_reasons = {"numpy": "it stands in for another"}
    build = replace(_CONFIG.build, gpu=True, cuda="12.4", cuda_named="12")
    former = house.lock(replace(_CONFIG, build=build))
    assert ("numpy", "it stands in for another") in told(former)
    assert (house.resolvers.python[0].gpu, house.resolvers.python[0].cuda) == (True, "12")
    assert house.resolvers.python[0].reasons == {}
    assert house.resolvers.python[1].gpu is None  # cog-nix's own tools
    for upgrade, expected in (
        (Upgrade(), dict(house.resolvers.python_reasons)),
        (Upgrade(names=frozenset({"numpy"})), {}),
        (Upgrade(everything=True), {}),
    ):
        house.resolvers.python.clear()
        house.lock(former=former, upgrade=upgrade)
        assert house.resolvers.python[0].reasons == expected


def _cuda_wheel(house: _House, name: str, *needed: str, text: bytes = b"") -> None:
    members = {f"{name}/_c.so": make_elf(*needed), f"{name}/_loads.so": b"\x7fELF" + text}
    make_wheel(house.fetcher.folder / f"{name}-1.0-py3-none-any.whl", members)


def _gpu(*requirements: str, gpu: bool = True) -> Config:
    return Config(build=Build(gpu=gpu, requirements=requirements))


def test_python_is_resolved_again_with_what_brings_libraries(house: _House, wheel: Any) -> None:
    _cuda_wheel(house, "ct", "libfft.so.11", text=b"\0libblas.so.12\0")
    house.resolvers.brings = {
        "libblas.so.12": FoundRequirement("toolkit[blas]==12.*", "ct 1.0: ct/_loads.so names libblas.so.12"),
        "libfft.so.11": FoundRequirement("nvidia-fft", "ct 1.0: ct/_c.so needs libfft.so.11"),
    }
    brought = wheel("nvidia-fft")
    make_wheel(house.fetcher.folder / brought.artifact.filename, {"nvidia/fft/lib/libfft.so.11": make_elf()})
    lock = house.lock(_gpu("ct"))
    assert [wheel.name for wheel in lock.wheels] == ["cog", "coglet", "ct", "nvidia-fft", "pip", "toolkit"]
    _, tools, again = house.resolvers.python
    assert tools.requirements == lock_seed.REQUIREMENTS
    assert again.requirements[-2:] == ("nvidia-fft", "toolkit[blas]==12.*")
    assert again.pins["ct"] == "1.0"
    assert house.resolvers.python_libraries[-1].needs == ()
    assert dict(told(lock)) == {
        "nvidia-fft": "ct 1.0: ct/_c.so needs libfft.so.11",
        "toolkit": "ct 1.0: ct/_loads.so names libblas.so.12",
    }
    assert "Adding nvidia-fft: ct 1.0: ct/_c.so needs libfft.so.11" in house.reporter.infos
    assert lock.layers[-2] == ("linker", ("linker",))
    assert house.resolvers.libraries[0].needs == ()
    assert house.resolvers.libraries[0].gpu


def test_names_in_files_count_with_a_gpu_alone(house: _House) -> None:
    _cuda_wheel(house, "ct", "libfft.so.11", text=b"\0libblas.so.12\0")
    house.lock(_gpu("ct", gpu=False))
    request = house.resolvers.python_libraries[0]
    assert ([need.soname for need in request.needs], request.named) == (["libfft.so.11"], ())
    assert not house.resolvers.libraries[0].gpu


def test_what_does_not_fit_is_told_and_left_out(house: _House) -> None:
    _cuda_wheel(house, "ct", text=b"\0libblas.so.12\0")
    house.resolvers.brings = {"libblas.so.12": FoundRequirement("nvidia-blas", "ct names libblas.so.12")}
    house.resolvers.refused = "nvidia-blas"
    lock = house.lock(_gpu("ct"))
    assert [wheel.name for wheel in lock.wheels] == ["cog", "coglet", "ct", "pip"]
    assert (told(lock), [name for name, _ in lock.layers][-2:]) == ((), ["python-packages", "source"])
    (warning,) = house.reporter.warnings
    assert warning == (
        "Left out, because it conflicts with what the project asks for: nvidia-blas (ct names libblas.so.12)"
    )


def test_what_fits_is_added_though_another_does_not(house: _House) -> None:
    _cuda_wheel(house, "ct", "libfft.so.11", text=b"\0libblas.so.12\0")
    house.resolvers.brings = {
        "libblas.so.12": FoundRequirement("nvidia-blas", "ct names libblas.so.12"),
        "libfft.so.11": FoundRequirement("nvidia-fft", "ct needs libfft.so.11"),
    }
    house.resolvers.refused = "nvidia-blas"
    lock = house.lock(_gpu("ct"))
    assert [wheel.name for wheel in lock.wheels] == ["cog", "coglet", "ct", "nvidia-fft", "pip"]
    assert [warning for warning in house.reporter.warnings if "nvidia-fft" in warning] == []
    assert house.reporter.warnings[0].endswith(": nvidia-blas (ct names libblas.so.12)")


@pytest.mark.parametrize("alone", [True, False])
def test_what_stands_in_for_something_that_does_not_fit_is_added(house: _House, *, alone: bool) -> None:
    _cuda_wheel(house, "ct", *(() if alone else ("libfft.so.11",)), text=b"\0libblas.so.12\0")
    instead = FoundRequirement("nvidia-blas", "ct names libblas.so.12")
    house.resolvers.brings = {
        "libblas.so.12": FoundRequirement("toolkit[blas]", "its extra does", (instead,)),
        "libfft.so.11": FoundRequirement("nvidia-fft", "ct needs libfft.so.11"),
    }
    house.resolvers.refused = "toolkit[blas]"
    lock = house.lock(_gpu("ct"))
    added = ["nvidia-blas"] if alone else ["nvidia-blas", "nvidia-fft"]
    assert [wheel.name for wheel in lock.wheels] == ["cog", "coglet", "ct", *added, "pip"]
    assert dict(told(lock))["nvidia-blas"] == "ct names libblas.so.12"
    assert not any("Left out" in warning for warning in house.reporter.warnings)


@pytest.mark.parametrize("version", ["0.9", "gone"])
def test_nothing_of_the_projects_own_moves_for_an_addition(house: _House, version: str) -> None:
    _cuda_wheel(house, "ct", "libfft.so.11")
    house.resolvers.brings = {"libfft.so.11": FoundRequirement("nvidia-fft", "ct needs libfft.so.11")}
    without = house.lock(_gpu("ct", gpu=False), upgrade=Upgrade(everything=True))
    house.resolvers.python.clear()
    house.resolvers.moved = {"ct": version}
    lock = house.lock(_gpu("ct"))
    assert lock.wheels == tuple(wheel for wheel in without.wheels if wheel.name != "nvidia-fft")
    request = house.resolvers.python[2]  # after the project's, and cog-nix's own tools
    assert request.fixed == {wheel.name: wheel.version for wheel in lock.wheels}
    assert any("Left out, because it conflicts" in warning for warning in house.reporter.warnings)


def test_names_of_what_lies_beside_a_file_are_no_needs(house: _House) -> None:
    text = b"\0libown.so.12\0libbeside.so.3\0libfar.so.1\0libelse.so.9\0"
    members = {
        "ct/cupti/libown.so": make_elf(soname="libown.so.12", runpath="$ORIGIN/../far") + text,
        "ct/cupti/libbeside.so.3": make_elf(),
        "ct/far/libfar.so.1": make_elf(),
    }
    make_wheel(house.fetcher.folder / "ct-1.0-py3-none-any.whl", members)
    house.lock(_gpu("ct"))
    (request,) = house.resolvers.python_libraries
    assert [need.soname for need in request.named] == ["libelse.so.9"]


def test_everything_is_resolved_in_the_suite_that_builds_need(house: _House) -> None:
    house.resolvers.toolkit = ToolkitChoice("CUDA 11.8", (), suite="sid", because="ops compiles for GPUs")
    lock = house.lock(_gpu("ct"))
    assert lock.suite == "sid"
    assert house.reporter.infos == ["ops compiles for GPUs"]
    assert [request.suite for request in house.resolvers.toolkits] == ["trixie", "sid"]
    assert house.resolvers.libraries[0].suite == "sid"
    assert lock.inputs == house.lock(_gpu("ct"), former=lock).inputs
    assert house.fetcher.asked.index("ct-1.0-py3-none-any.whl") >= 0


def test_a_file_that_two_wheels_have_is_a_link_in_the_lock(house: _House) -> None:
    row = f"{{}}/lib.so,sha256=abc,{1 << 20}\n"
    for name in ("a", "b"):
        path = house.fetcher.folder / f"{name}-1.0-py3-none-any.whl"
        make_wheel(path, {f"{name}-1.0.dist-info/RECORD": row.format(name).encode()})
    house.resolvers.wheel = lambda name, version: replace(
        made := house.resolvers.made(name, version), artifact=replace(made.artifact, size=1 << 20)
    )
    lock = house.lock(_gpu("a", "b"))
    assert lock.links == (("b", (("b/lib.so", "a/lib.so"),)),)
    assert dict(lock.layers)["python-packages"] == ("wheel:a", "wheel:b", "links:b")


def _versions(lock: Lock) -> dict[str, str]:
    debs = {deb.package: deb.version for deb in lock.debs}
    return debs | {wheel.name: wheel.version for wheel in lock.wheels}


def test_a_lock_holds_what_the_plugins_answered(house: _House) -> None:
    lock = house.lock()
    assert [deb.package for deb in lock.base] == ["bash", "libc6"]
    assert [deb.package for deb in lock.essential] == ["login"]
    assert [deb.package for deb in lock.python] == ["libpython3.13-minimal", "python3.13"]
    assert [deb.package for deb in lock.system] == ["ffmpeg"]
    assert [wheel.name for wheel in lock.wheels] == ["cog", "coglet", "numpy", "pip"]
    assert (lock.suite, lock.indexes, lock.inputs) == ("trixie", (_INDEX,), digest(_CONFIG, Settings()))
    assert (lock.interpreter.version, lock.interpreter.executable) == ("3.13.5", "/usr/bin/python3.13")
    assert [name for name, _ in lock.layers] == [
        "base",
        "python",
        "essential",
        "system-packages",
        "sdk",
        "python-packages",
        "source",
    ]


def test_an_interpreter_that_is_no_package_is_locked_as_the_archive_it_is(house: _House) -> None:
    lock = house.lock(Config(build=Build(python_version="3.12")))
    assert lock.interpreter == Interpreter("standalone", "3.12.11", "/usr/local/bin/python3.12", _ARCHIVE)
    assert _ARCHIVE.filename not in house.fetcher.asked, "a build fetches it"
    assert house.resolvers.python[0].python_version == "3.12.11"
    assert dict(lock.layers)["python"][-1] == "interpreter"
    assert "login" in [deb.package for deb in lock.base]


@pytest.mark.parametrize(
    ("upgrade", "kept"),
    [
        pytest.param(Upgrade(), True, id="nothing"),
        pytest.param(Upgrade(names=frozenset({"numpy"})), True, id="something-else"),
        pytest.param(Upgrade(names=frozenset({"python"})), False, id="python"),
        pytest.param(Upgrade(everything=True), False, id="everything"),
    ],
)
def test_an_interpreter_is_pinned_unless_it_may_move(
    house: _House,
    upgrade: Upgrade,
    kept: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    config = Config(build=Build(python_version="3.12"))
    former = house.lock(config)
    assert house.resolvers.pinned is None
    house.lock(config, former, upgrade)
    assert house.resolvers.pinned == (former.interpreter if kept else None)


def test_only_what_is_looked_into_is_fetched(house: _House) -> None:
    lock = house.lock()
    read = [one.artifact.filename for one in [*lock.wheels, *lock.seed.debs, *lock.seed.wheels]]  # type: ignore[attr-defined]
    assert set(house.fetcher.asked) == set(read), "the system's packages are a build's to fetch"


def test_a_lock_says_what_it_went_by(house: _House) -> None:
    names = [name for name, _ in house.lock().facts]
    assert names == [*(wheel.name for wheel in house.lock().wheels), "deb:bash"]
    assert all(re.fullmatch(r"links-1-[0-9a-f]{32}", seal) for _, seal in house.lock().facts[:-1])


def test_the_python_resolver_is_told_about_the_image(house: _House) -> None:
    house.lock()
    request = house.resolvers.python[0]
    assert (request.python_version, request.glibc) == ("3.13.5", "2.41")
    assert request.requirements == ("numpy>=1", "cog>=0.17.0", "coglet", "pip")
    assert (request.asked_in, request.project_root) == ("cog.yaml", house.cache / "project")


def test_tracing_brings_its_exporters(house: _House) -> None:
    traced = Config(observability=Observability(traces=Traces(enabled=True)))
    house.lock(traced)
    assert house.resolvers.python[0].requirements == (
        "cog>=0.17.0",
        "coglet",
        "pip",
        "opentelemetry-exporter-otlp-proto-http==1.44.0",
        "opentelemetry-exporter-otlp-proto-grpc==1.44.0",
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("3.10", ("setuptools", "wheel"), id="3.10"),
        pytest.param("3.11", ("setuptools", "wheel"), id="3.11"),
        pytest.param("3.12", (), id="3.12"),
        pytest.param("3.13", (), id="3.13"),
    ],
)
def test_old_interpreters_bring_setuptools(house: _House, version: str, expected: tuple[str, ...]) -> None:
    house.lock(Config(build=Build(python_version=version)))
    request = house.resolvers.python[0]
    assert request.requirements == ("cog>=0.17.0", "coglet", "pip", *expected)
    assert request.pins == ({"setuptools": "65.5.1", "wheel": "0.45.1"} if expected else {})


def test_a_version_of_setuptools_that_is_locked_is_preferred(house: _House) -> None:
    config = Config(build=Build(python_version="3.10"))
    former = house.lock(config)
    newer = tuple(
        replace(wheel, version="70.0") if wheel.name == "setuptools" else wheel for wheel in former.wheels
    )
    house.lock(config, replace(former, wheels=newer))
    assert house.resolvers.python[-1].pins["setuptools"] == "70.0"


def test_libraries_for_wheels_come_where_wheels_are_asked_for(house: _House) -> None:
    house.lock()
    house.lock(Config())
    assert [dict(request.groups).get("python") for request in house.resolvers.system if request.pins == {}][
        ::2
    ] == [
        ("python3.13", "libstdc++6"),
        ("python3.13",),
    ]


def test_requirements_of_a_file_are_asked_for_in_that_file(house: _House) -> None:
    build = Build(python_requirements="deep/requirements.txt", requirements=("numpy",))
    house.lock(Config(build=build))
    assert house.resolvers.python[0].asked_in == "deep/requirements.txt"


@pytest.mark.parametrize(
    "line", ["cog", "cog==0.9.4", "Cog >= 0.8", "coglet", "COGLET~=0.1", "cog[extra]==1"]
)
def test_the_sdk_in_requirements_is_ignored_with_a_warning(house: _House, line: str) -> None:
    house.lock(Config(build=Build(requirements=(line, "numpy"))))
    assert house.resolvers.python[0].requirements == ("numpy", "cog>=0.17.0", "coglet", "pip")
    assert len(house.reporter.warnings) == 1
    assert house.reporter.warnings[0].startswith(
        f"'{line}' found in requirements: overriding with latest cog"
    )


@pytest.mark.parametrize(
    "line", ["cognitive==1", "cog-utils", "cog_x", "--no-binary=cog", "git+https://example.org/cog"]
)
def test_other_lines_that_begin_alike_stay(house: _House, line: str) -> None:
    house.lock(Config(build=Build(requirements=(line,))))
    assert house.resolvers.python[0].requirements[0] == line
    assert house.reporter.warnings == []


def test_a_wanted_sdk_is_pinned(house: _House) -> None:
    house.lock(Config(build=Build(sdk_version="0.22.0")))
    assert "cog==0.22.0" in house.resolvers.python[0].requirements


def test_a_suite_in_the_settings_overrides_the_interpreters(house: _House) -> None:
    lock = house.lock(settings=Settings(tables={"debian": DebianSettings(suite="sid")}))
    assert lock.suite == house.resolvers.system[0].suite == "sid"
    assert house.reporter.steps[0] == "Resolving system packages in Debian sid"


_OLD = Config(build=Build(system_packages=("ffmpeg",), requirements=("numpy",)))


@pytest.fixture
def former(house: _House, deb: Callable[..., Deb], wheel: Callable[..., Wheel]) -> Lock:
    """Return a lock of last year."""
    lock = house.lock(_OLD)
    wheels = (wheel("cog", "0.22.0"), wheel("coglet", "0.1"), wheel("numpy", "1.0"), wheel("pip", "24"))
    seed = Seed("3.13", (deb("libc6", "2.40-1"),), (), "sha256-OLD")
    return replace(lock, system=(deb("ffmpeg", "7:7.0-1"),), wheels=wheels, seed=seed)


def test_pins_are_kept(house: _House, former: Lock) -> None:
    lock = house.lock(former=former)
    assert {name: _versions(lock)[name] for name in ("ffmpeg", "numpy", "cog", "pip")} == {
        "ffmpeg": "7:7.0-1",
        "numpy": "1.0",
        "cog": "0.22.0",
        "pip": "24",
    }
    assert lock.seed == former.seed


@pytest.mark.parametrize(
    ("upgrade", "moved"),
    [
        (Upgrade(names=frozenset({"numpy"})), {"numpy": "2.1"}),
        (Upgrade(names=frozenset({"ffmpeg", "cog"})), {"ffmpeg": "7:7.1-2", "cog": "0.23.1"}),
        (
            Upgrade(everything=True),
            {"ffmpeg": "7:7.1-2", "cog": "0.23.1", "numpy": "2.1", "pip": "25.0"},
        ),
    ],
    ids=["a-wheel", "a-deb-and-a-wheel", "everything"],
)
def test_only_what_may_move_moves(
    house: _House, former: Lock, upgrade: Upgrade, moved: dict[str, str]
) -> None:
    before = _versions(former)
    after = _versions(house.lock(former=former, upgrade=upgrade))
    assert {name: version for name, version in after.items() if version != before[name]} == moved


def test_the_seed_moves_only_with_everything(house: _House, former: Lock) -> None:
    kept = house.lock(former=former, upgrade=Upgrade(names=frozenset({"numpy"})))
    assert kept.seed.nar_sha256 == "sha256-OLD"
    assert kept.seed.found_in == former.seed.found_in  # the indexes of then
    moved = house.lock(former=former, upgrade=Upgrade(everything=True))
    assert moved.seed.found_in == (_INDEX,)
    assert [deb.package for deb in moved.seed.debs] == ["libc6", "python3.13-minimal"], (
        "debconf brings nothing"
    )


def test_an_upgrade_of_everything_hands_no_pins_to_the_resolvers(house: _House, former: Lock) -> None:
    house.lock(former=former, upgrade=Upgrade(everything=True))
    assert all(not request.pins for request in [*house.resolvers.system, *house.resolvers.python])  # type: ignore[attr-defined]


class _Adds:
    @hookimpl
    def image_environment(self, lock: Lock) -> dict[str, str]:
        return {"SUITE": lock.suite, "A": "1"}

    @hookimpl
    def image_labels(self, config: Config) -> dict[str, str] | None:
        return {"packages": ",".join(config.build.system_packages)} if config.build.system_packages else None


def test_what_plugins_add_is_locked_in_order(house: _House) -> None:
    house.plugins.manager.register(_Adds(), name="adds")
    lock = house.lock()
    assert lock.environment == (("A", "1"), ("SUITE", "trixie"))
    assert lock.labels == (("packages", "ffmpeg"),)
    assert house.lock(Config()).labels == ()


def test_an_interpreter_that_nobody_provides_is_named_with_a_way_out(house: _House) -> None:
    with pytest.raises(LockError) as error:
        house.lock(Config(build=Build(python_version="3.9")))
    assert error.value.message == "cog.yaml asks for Python 3.9, which no plugin provides."
    assert '"3.13"' in error.value.hint
    assert house.lock(Config(build=Build(python_version="3.13"))).interpreter.version.startswith("3.13")


@pytest.mark.parametrize(
    ("requirement", "advice"),
    [
        ("numpy>=1", 'all that is asked for: python_version: "3.13" or "3.11".'),
        ("old==1", 'all that is asked for: python_version: "3.11".'),
        ("ancient==1", "With Debian's own Python 3.13 or 3.11 the rest of it cannot be locked here either."),
    ],
)
def test_where_a_python_cannot_be_downloaded_those_are_advised_that_everything_goes_with(
    house: _House, requirement: str, advice: str
) -> None:
    house.resolvers.no_download = {"3.12"}
    house.resolvers.only_for = {"old==1": {"3.11", "3.12"}, "ancient==1": {"3.12"}}
    with pytest.raises(LockError, match=r"3\.12 cannot be downloaded") as error:
        house.lock(Config(build=Build(python_version="3.12", requirements=(requirement,))))
    assert error.value.hint == f"Name a mirror.\n{error.value.hint.splitlines()[-1]}"
    assert error.value.hint.endswith(advice)
    for python in re.findall('"(3.[0-9]+)"', error.value.hint):
        assert house.lock(Config(build=Build(python_version=python, requirements=(requirement,)))).wheels


def test_a_suite_that_nobody_knows_is_named(house: _House) -> None:
    with pytest.raises(PluginError, match="No plugin resolves packages of the suite potato"):
        house.lock(settings=Settings(tables={"debian": DebianSettings(suite="potato")}))


def _put_wheel(house: _House, *needed: str) -> None:
    make_wheel(house.cache / "downloads/numpy-2.1-py3-none-any.whl", {"numpy/_c.so": make_elf(*needed)})


def test_a_library_that_nobody_named_is_added(house: _House) -> None:
    _put_wheel(house, "libGL.so.1", "libc.so.6")
    lock = house.lock()
    assert [deb.package for deb in lock.libraries] == ["libgl1"]
    assert [deb.package for deb in lock.system] == ["ffmpeg"]
    assert told(lock) == (("libgl1", "numpy 2.1: numpy/_c.so needs libGL.so.1"),)
    assert dict(lock.layers)["system-packages"] == ("deb:ffmpeg", "deb:libgl1", "state:system")
    assert house.reporter.infos == ["Adding libgl1: numpy links to libGL.so.1"]
    asked = house.resolvers.libraries[0]
    assert [deb.package for deb in asked.present] == [
        "bash",
        "libc6",
        "libpython3.13-minimal",
        "python3.13",
        "ffmpeg",
        "login",
    ]
    assert asked.distributions == ("cog", "coglet", "numpy", "pip")


def test_without_system_packages_the_rest_of_the_base_system_is_not_counted_on(house: _House) -> None:
    _put_wheel(house, "libcrypt.so.1")
    lock = house.lock(Config(build=Build(requirements=("numpy>=1",))))
    assert "login" not in [deb.package for deb in house.resolvers.libraries[0].present]
    assert [deb.package for deb in lock.base] == ["bash", "libc6", "login"]
    assert lock.libraries == lock.essential == ()


def test_the_pin_of_a_library_is_kept_and_told_once(house: _House) -> None:
    _put_wheel(house, "libGL.so.1")
    former = house.lock()
    _LATEST["libgl1"] = "9-9"
    try:
        again = house.lock(former=former)
        moved = house.lock(former=former, upgrade=Upgrade(names=frozenset({"libgl1"})))
    finally:
        del _LATEST["libgl1"]
    assert again.libraries == former.libraries
    assert moved.libraries[0].version == "9-9"
    assert len(house.reporter.infos) == 1


def test_a_library_that_nothing_has_is_a_warning(house: _House) -> None:
    _put_wheel(house, "libmadeup.so.3", "libother.so")
    lock = house.lock()
    assert lock.libraries == ()
    assert house.reporter.warnings == [
        (
            "numpy 2.1 links to libmadeup.so.3, libother.so, which nothing in the image and no package of "
            "trixie has: numpy/_c.so will not load."
        )
    ]


def test_missing_libraries_of_cuda_come_with_advice(house: _House) -> None:
    _put_wheel(house, "libcublas.so.12")
    house.lock()
    assert house.reporter.warnings[0].endswith(
        "will not load. CUDA's libraries come with Python packages: nvidia-cuda-runtime-cu12,"
        " nvidia-cublas-cu12 and the like."
    )


def test_a_file_that_will_not_load_asks_for_nothing(house: _House) -> None:
    _put_wheel(house, "libGL.so.1", "libmadeup.so.3")
    assert house.lock().libraries == ()
    assert "libGL" not in house.reporter.warnings[0]


def test_another_version_of_a_library_says_that_the_file_is_a_variant(house: _House) -> None:
    files = {"numpy/_c.so": make_elf("libmadeup.so.3", "libGL.so.1"), "numpy/libmadeup.so.4": make_elf()}
    make_wheel(house.cache / "downloads/numpy-2.1-py3-none-any.whl", files)
    assert [deb.package for deb in house.lock().libraries] == ["libgl1"]
    assert house.reporter.warnings == []


def test_the_projects_own_libraries_count(house: _House) -> None:
    (house.cache / "project/mine.so").write_bytes(make_elf("libGL.so.1"))
    lock = house.lock()
    assert told(lock) == (("libgl1", "The project: mine.so needs libGL.so.1"),)
    assert house.reporter.infos == ["Adding libgl1: the project links to libGL.so.1"]


def test_a_renamed_package_is_told_in_the_lock(house: _House) -> None:
    house.resolvers.renamed = {"ffmpeg": "ffmpeg7", "elsewhere": "other"}
    assert told(house.lock()) == (("ffmpeg7", "ffmpeg is asked for"),)


def test_the_packages_of_cogs_base_image_are_asked_for_and_locked(house: _House) -> None:
    house.resolvers.renamed = {"libglib2.0-0": "libglib2.0-0t64"}
    lock = house.lock(settings=Settings(tables={"debian": DebianSettings(cog_base=True)}))
    names = dict(house.resolvers.system[0].groups)["system"]
    assert names == ("ffmpeg", *(name for name in PACKAGES if name != "ffmpeg"))
    assert house.resolvers.system[0].asked_in["cmake"] == "Cog's base image (--use-cog-base-image)"
    assert lock.cog_base
    assert {"cmake", "sox"} <= {deb.package for deb in lock.system}
    assert ("libglib2.0-0t64", "libglib2.0-0 is asked for") in told(lock)
    assert not house.lock().cog_base


@pytest.mark.parametrize(
    ("upgrade", "expected"),
    [
        pytest.param(
            Upgrade(),
            {"git+https://git.example.org/flash-attn@main": "0123456789abcdef0123456789abcdef01234567"},
            id="kept",
        ),
        pytest.param(Upgrade(names=frozenset({"flash-attn"})), {}, id="named"),
        pytest.param(Upgrade(everything=True), {}, id="everything"),
    ],
)
def test_branches_stay_at_their_commits(
    lock: Callable[..., Lock], upgrade: Upgrade, expected: dict[str, str]
) -> None:
    former = lock()
    wheels = tuple(
        replace(wheel, artifact=replace(wheel.artifact, url=wheel.origin)) if wheel.origin else wheel
        for wheel in former.wheels
    )
    assert Pins(replace(former, wheels=wheels), upgrade).commits == expected
    assert Pins(None, upgrade).commits == {}


def test_what_sources_were_built_with_stays(lock: Callable[..., Lock]) -> None:
    assert Pins(lock(), Upgrade()).builds == {"flash-attn": {"setuptools": "80.0"}}
    assert Pins(lock(), Upgrade(everything=True)).builds == {}
    assert Pins(None, Upgrade()).builds == {}


_TOOLKIT = ToolkitChoice(
    name="CUDA 12.4",
    requirements=(("headers==12.4", "runtime==12.4"), ("static==12.9",)),
    packages=(("sid", "non-free", ("nvcc",)),),
    build_packages=("g++-13",),
    host_compiler="13",
    environment=(("FORCE_CUDA", "1"), ("CUDA_HOME", "/usr/local/cuda")),
    variables=("MAX_JOBS",),
    commands=True,
)


def test_a_toolkit_is_resolved_from_what_it_is_made_of(house: _House) -> None:
    house.resolvers.toolkit = _TOOLKIT
    config = Config(build=Build(pre_install=("nvcc a.cu",), gpu=True, requirements=("numpy>=1",)))
    lock = house.lock(config)
    assert lock.toolkit is not None
    assert [deb.package for deb in lock.toolkit.debs] == ["nvcc"]
    assert [wheel.name for wheel in lock.toolkit.wheels] == ["headers", "runtime", "static"]
    assert lock.toolkit.environment == (("CUDA_HOME", "/usr/local/cuda"), ("FORCE_CUDA", "1"))
    assert (lock.toolkit.host_compiler, lock.toolkit.commands) == ("13", True)
    assert lock.toolkit.found_in == (_INDEX,)
    request = next(one for one in house.resolvers.system if one.component == "non-free")
    assert (request.suite, request.alone) == ("sid", True)
    build = next(dict(one.groups)["build"] for one in house.resolvers.system if "build" in dict(one.groups))
    assert "g++-13" in build
    told = house.resolvers.toolkits[0]
    assert (told.suite, [wheel.name for wheel in told.wheels]) == (
        "trixie",
        ["cog", "coglet", "numpy", "pip"],
    )
    assert "nvcc_1-1_amd64.deb" not in house.fetcher.asked
    assert not {"nvcc", "headers"} & {name for _, members in lock.layers for name in members}


def test_no_toolkit_where_nobody_offers_one(house: _House) -> None:
    assert house.lock().toolkit is None


@pytest.mark.parametrize(
    ("upgrade", "expected"),
    [pytest.param(Upgrade(), "1-0", id="kept"), pytest.param(Upgrade(everything=True), "1-1", id="moved")],
)
def test_a_toolkit_is_pinned_unless_it_may_move(house: _House, upgrade: Upgrade, expected: str) -> None:
    house.resolvers.toolkit = _TOOLKIT
    former = house.lock()
    assert former.toolkit is not None
    older = replace(former.toolkit, debs=(house.resolvers.deb("nvcc", "1-0"),))
    found = house.lock(former=replace(former, toolkit=older), upgrade=upgrade).toolkit
    assert found is not None
    assert [deb.version for deb in found.debs] == [expected]


def test_commands_depend_on_the_toolkit_that_they_see(house: _House, lock: Callable[..., Lock]) -> None:
    config = Config(build=Build(pre_install=("nvcc a.cu",)))
    house.resolvers.toolkit = _TOOLKIT
    seen = house.lock(config).toolkit
    assert seen is not None

    def key(toolkit: Toolkit | None) -> str:
        return next(key for _, key in keys(lock(toolkit=toolkit), config, []))

    other = replace(seen, debs=(house.resolvers.deb("nvcc", "2-0"),))
    unseen = replace(seen, commands=False)
    assert len({key(None), key(seen), key(other), key(replace(seen, host_compiler="12"))}) == 4
    assert key(unseen) == key(None)


def _starts(house: _House, *names: str) -> None:
    project = house.cache / "project"
    project.mkdir(parents=True, exist_ok=True)
    calls = "".join(f"subprocess.run([{name!r}])\n" for name in names)
    (project / "predict.py").write_text(f"import subprocess\n{calls}")


def test_a_program_that_the_source_starts_is_added(house: _House) -> None:
    _starts(house, "jq", "ls", "pget")
    lock = house.lock()
    assert [deb.package for deb in lock.libraries] == ["jq-package"]
    assert lock.programs == ("jq", "pget")
    assert told(lock) == (("jq-package", "The project: predict.py starts jq"),)
    assert house.reporter.infos == ["Adding jq-package: predict.py:2 starts jq"]
    assert [deb.package for deb in house.resolvers.programs[0].present] == [
        deb.package for deb in house.resolvers.libraries[0].present
    ]
    assert house.lock(former=lock) == lock
    assert len(house.reporter.infos) == 1


def test_programs_of_python_packages_are_not_looked_for(house: _House) -> None:
    _starts(house, "NumPy", "f2py", "jq")
    _put_wheel(house)
    with zipfile.ZipFile(next(house.fetcher.folder.glob("numpy-*")), "a") as archive:
        archive.writestr("numpy-2.1.dist-info/entry_points.txt", "[console_scripts]\nf2py = numpy:main\n")
    house.lock()
    assert [request.programs for request in house.resolvers.programs] == [("jq",)]


@pytest.mark.parametrize("trouble", ["unfit", "pushy"])
def test_a_program_that_does_not_fit_is_left_out_with_a_warning(house: _House, trouble: str) -> None:
    _starts(house, "jq", "sox")
    setattr(house.resolvers, trouble, "jq-package")
    lock = house.lock()
    assert [deb.package for deb in lock.libraries] == ["sox-package"]
    assert [deb.version for deb in lock.base if deb.package == "libc6"] == ["2.41-12"]
    assert house.reporter.warnings == [
        "predict.py:2 starts jq, and its package jq-package conflicts with the others: left out."
    ]


def test_programs_are_not_looked_for_where_that_is_switched_off(house: _House) -> None:
    _starts(house, "jq")
    lock = house.lock(settings=Settings(tables={"debian": DebianSettings(programs=False)}))
    assert (lock.programs, lock.libraries, house.resolvers.programs) == (None, (), [])


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        pytest.param(
            False, ["Command 1: tool needs libGL.so.1", "Command 2: tool needs libz.so.1"], id="same"
        ),
        pytest.param(True, ["Command 1: tool needs libGL.so.1"], id="another-second-command"),
    ],
)
def test_what_a_result_linked_to_goes_with_its_command(
    house: _House,
    lock: Callable[..., Lock],
    changed: bool,  # noqa: FBT001 - pytest passes it by name
    kept: list[str],
) -> None:
    commands = ("make tool", "make other")
    config = Config(build=Build(run=tuple(map(RunCommand, commands))))
    sri = lock().runs[0].nar_sha256
    locked = house.lock(config)
    runs = tuple(Run(text, key, sri) for text, key in keys(locked, config, [sri, sri]))
    reasons = [("libgl1", "Command 1: tool needs libGL.so.1"), ("zlib", "Command 2: tool needs libz.so.1")]
    former = replace(locked, runs=runs, reasons=tuple(parse(*pair) for pair in reasons))
    if changed:
        config = Config(build=Build(run=(RunCommand(commands[0]), RunCommand("make it"))))
    found = house.lock(config, former)
    assert [reason.sentence for reason in found.reasons] == kept
    assert dict(house.resolvers.system[-1].groups)["linked"] == ("libgl1", "zlib")[: len(kept)]
    assert len(found.runs) == len(kept)


def test_what_results_link_to_is_looked_for_beside_the_rest(house: _House) -> None:
    project = Project(house.cache / "project", house.cache / "project/cog.yaml")
    config = Config(build=Build(run=(RunCommand("make tool"),)))
    locked = house.lock(config)
    results: dict[str | int, Scan] = {1: Scan((DynamicFile("tool", ("libGL.so.1", "libc.so.6")),))}
    fetcher: Any = house.fetcher
    tools = Tools(house.plugins, Context(Settings(), fetcher, house.reporter, house.cache))
    request = Request(project, config, Settings(), previous=locked, results=results)
    assert results_lack(request, tools, locked, results)
    assert not results_lack(request, tools, locked, {1: Scan()})
    assert told(resolve(request, tools)) == (("libgl1", "Command 1: tool needs libGL.so.1"),)
    assert house.reporter.infos == ["Adding libgl1: Command 1 links to libGL.so.1"]
