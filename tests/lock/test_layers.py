"""The plan of the layers: everything once, within the budget, and nothing moves when something comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cog_nix.config.model import LayerSettings
from cog_nix.lock import layers
from cog_nix.lock.model import Artifact, Deb, Lock, Wheel
from cog_nix_hooks.nvidia.parts import PARTS
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEAVY = LayerSettings().heavy_bytes
_NAMES = [f"package-{number:02}" for number in range(12)]


def _wheel(name: str, size: int, depends: Sequence[str]) -> Wheel:
    return Wheel(name, "1", Artifact(f"{name}.whl", "", name, size), tuple(depends))


def _deb(name: str) -> Deb:
    return Deb(name, "1", "amd64", Artifact(f"{name}.deb", "", name, 1))


@st.composite
def _wheels(draw: st.DrawFn) -> list[Wheel]:
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True))
    return [
        _wheel(
            name,
            draw(st.sampled_from([1, _HEAVY - 1, _HEAVY, _HEAVY * 3, _HEAVY * 9])),
            draw(st.lists(st.sampled_from(_NAMES), unique=True, max_size=3)),
        )
        for name in sorted(names)
    ]


def _lock(**packages: tuple[Deb | Wheel, ...]) -> Lock:
    base, essential, python = (_deb("libc6"),), (_deb("login"),), (_deb("python3.13"),)
    rest: dict[str, Any] = {
        "base": base,
        "essential": essential,
        "python": python,
        "libraries": (),
        "system": (),
    }
    return make_lock(**{**rest, **packages})


def _plan(
    wheels: Sequence[Wheel], system: Sequence[Deb] = (), budget: int = 60, heavy: int = _HEAVY
) -> layers.LayerPlan:
    return layers.plan(
        _lock(system=tuple(system), wheels=tuple(wheels)),
        LayerSettings(heavy_bytes=heavy, budget=budget),
        goes_with_gpus=PARTS.go_with,
    )


@settings(deadline=None)
@given(_wheels(), st.booleans(), st.integers(7, 20))
def test_every_package_stands_in_exactly_one_layer(wheels: list[Wheel], system: bool, budget: int) -> None:  # noqa: FBT001 - drawn
    debs = [_deb("ffmpeg")] if system else []
    members = [member for _, members in _plan(wheels, debs, budget) for member in members]
    expected = {f"wheel:{wheel.name}" for wheel in wheels} | {"deb:libc6", "deb:python3.13"}
    expected |= {"state:base", "venv", "source"}
    if system:
        expected |= {"deb:ffmpeg", "state:system", "deb:login", "state:essential"}
    assert sorted(members) == sorted(expected)


@settings(deadline=None)
@given(_wheels(), st.integers(7, 20))
def test_the_budget_is_held(wheels: list[Wheel], budget: int) -> None:
    plan = _plan(wheels, [_deb("ffmpeg")], budget)
    assert len(plan) <= budget
    assert all(members for _, members in plan)


@settings(deadline=None)
@given(_wheels(), st.randoms(use_true_random=False))
def test_the_order_of_the_wheels_does_not_matter_for_the_order_of_layers(
    wheels: list[Wheel], random: object
) -> None:
    shuffled = list(wheels)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [name for name, _ in _plan(shuffled)] == [name for name, _ in _plan(wheels)]


@settings(deadline=None)
@given(_wheels(), st.integers(1, _HEAVY * 10), st.lists(st.sampled_from(_NAMES), max_size=4))
def test_adding_a_package_moves_no_layer_that_was_there(
    wheels: list[Wheel], size: int, depends: list[str]
) -> None:
    before = [name for name, _ in _plan(wheels)]
    after = [name for name, _ in _plan([*wheels, _wheel("the-new-one", size, depends)])]
    assert [name for name in after if name in before] == before


@settings(deadline=None)
@given(_wheels())
def test_what_a_wheel_needs_lies_below_it(wheels: list[Wheel]) -> None:
    depends = {wheel.name: wheel.depends for wheel in wheels}
    large = {wheel.name for wheel in wheels if wheel.artifact.size >= _HEAVY}
    heavy = [name for name, _ in _plan(wheels) if name in large]

    def reaches(start: str, goal: str) -> bool:
        pending, seen = list(depends[start]), set()
        while pending:
            name = pending.pop()
            if name == goal:
                return True
            if name in depends and name not in seen:
                seen.add(name)
                pending += depends[name]
        return False

    for above, one in enumerate(heavy):
        for other in heavy[above + 1 :]:
            assert not reaches(one, other) or reaches(other, one)


def test_the_layers_of_a_project_with_torch(wheel: Callable[..., Wheel], deb: Callable[..., Deb]) -> None:
    wheels = [
        wheel("cog", "0.23.1", "structlog"),
        wheel("coglet"),
        wheel("numpy", "2", size=_HEAVY),
        wheel("nvidia-cublas-cu12", size=400_000_000),
        wheel("nvidia-cudnn-cu12", "9", "nvidia-cublas-cu12", size=700_000_000),
        wheel("pip"),
        wheel("requests"),
        wheel("structlog"),
        wheel("torch", "2.5", "nvidia-cudnn-cu12", "nvidia-cublas-cu12", "triton", size=900_000_000),
        wheel("torchvision", "0.20", "torch", "numpy", size=7_000_000),
        wheel("triton", "3", size=200_000_000),
    ]
    packed = _lock(base=(deb("bash"),), system=(deb("ffmpeg"),), wheels=tuple(wheels))
    assert layers.plan(packed, LayerSettings(), goes_with_gpus=PARTS.go_with) == (
        ("base", ("deb:bash",)),
        ("python", ("deb:python3.13", "state:base", "venv")),
        ("nvidia-cublas-cu12", ("wheel:nvidia-cublas-cu12",)),
        ("triton", ("wheel:triton",)),
        ("nvidia-cudnn-cu12", ("wheel:nvidia-cudnn-cu12",)),
        ("torch", ("wheel:torch",)),
        ("numpy", ("wheel:numpy",)),
        ("essential", ("deb:login", "state:essential")),
        ("system-packages", ("deb:ffmpeg", "state:system")),
        ("sdk", ("wheel:cog", "wheel:coglet", "wheel:pip")),
        ("torchvision", ("wheel:torchvision",)),
        ("python-packages", ("wheel:requests", "wheel:structlog")),
        ("source", ("source",)),
    )


@pytest.mark.parametrize("bigger", ["left", "right"])
def test_packages_that_need_each_other_are_ordered_by_name(wheel: Callable[..., Wheel], bigger: str) -> None:
    pair = [
        wheel(name, "1", other, size=_HEAVY + (name == bigger))
        for name, other in (("left", "right"), ("right", "left"))
    ]
    user = wheel("a-user", "1", "right", size=_HEAVY * 5)
    assert [name for name, _ in _plan(pair)][2:4] == ["left", "right"]
    assert [name for name, _ in _plan([user, *pair])][2:5] == ["left", "right", "a-user"]


@pytest.mark.parametrize("size", [_HEAVY, _HEAVY // 4], ids=["heavy", "medium"])
def test_what_is_no_part_of_cuda_is_above_it(wheel: Callable[..., Wheel], size: int) -> None:
    wheels = [
        wheel("nvidia-cublas-cu12", size=size),
        wheel("nvidia-cuda-cupti-cu12", "12", "nvidia-cublas-cu12", size=size),
        wheel("a-flash", "1", "torch", size=size),
        wheel("numpy", size=size),
        wheel("opencv-python", "4", "numpy", size=size),
        wheel("torch", "2", "nvidia-cublas-cu12", "nvidia-cuda-cupti-cu12", "triton", "sympy", size=size),
        wheel("triton", size=size),
        wheel("sympy"),
    ]
    names = [name for name, _ in _plan(wheels) if name in {one.name for one in wheels}]
    cuda = ["nvidia-cublas-cu12", "triton", "nvidia-cuda-cupti-cu12"]
    assert names == [*cuda, "torch", "a-flash", "numpy", "opencv-python"]


def test_over_the_budget_the_heaviest_keep_their_layers(wheel: Callable[..., Wheel]) -> None:
    wheels = [wheel(name, size=_HEAVY + number) for number, name in enumerate(_NAMES)]
    plan = dict(_plan(wheels, budget=11))
    assert set(_NAMES) & set(plan) == set(_NAMES[-3:])
    assert plan["python-packages"] == tuple(f"wheel:{name}" for name in _NAMES[:-3])


def test_the_linker_is_told_on_top_of_everything_but_the_source() -> None:
    planned = layers.plan(
        _lock(essential=(), wheels=(_wheel("numpy", 1, ()),), linked=(_deb("libx1"),)),
        LayerSettings(),
        commands=1,
        linker=True,
        goes_with_gpus=PARTS.go_with,
    )
    assert [name for name, _ in planned][-3:] == ["linked-libraries", "linker", "source"]


def test_links_lie_over_the_wheels_that_have_them() -> None:
    planned = _plan([_wheel("torch", _HEAVY, ()), _wheel("a", 1, ()), _wheel("b", 1, ())])
    linked = dict(layers.with_links(planned, ["torch", "b"]))
    assert linked["torch"] == ("wheel:torch", "links:torch")
    assert linked["python-packages"] == ("wheel:a", "wheel:b", "links:b")
    assert layers.with_links(planned, []) == planned
    assert layers.wheels_of(planned) == ("torch", "a", "b")
