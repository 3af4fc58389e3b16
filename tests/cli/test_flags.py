"""Flags of upstream: what has a meaning is done, what has none is told once, what cannot be is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.app import run
from cog_nix.cli.build import _Options as Options
from cog_nix.cli.options import packing_of, show_progress
from cog_nix.cli.session import Session
from cog_nix.cli.terminal import TerminalReporter, print_error
from cog_nix.errors import ConfigError
from cog_nix.plugins import manager as plugins

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILDKIT_PROGRESS", raising=False)
    monkeypatch.delenv("COG_NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def session() -> Session:
    return Session(plugins.load({"COG_NIX_PLUGINS": "0"}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param(Options(), [], id="nothing-given"),
        pytest.param(Options(use_cog_base_image=False), [], id="cog-base-image"),
        pytest.param(Options(use_cuda_base_image="auto"), ["--use-cuda-base-image"], id="cuda-base-image"),
        pytest.param(Options(separate_weights=True), ["--separate-weights"], id="separate-weights"),
        pytest.param(Options(timestamp=0), ["--timestamp"], id="timestamp-of-the-epoch"),
        pytest.param(
            Options(strip=True, precompile=True, skip_schema_validation=True),
            ["--strip", "--precompile", "--skip-schema-validation"],
            id="hidden-ones",
        ),
    ],
)
def test_what_has_no_effect_is_told_once(
    given: Options, told: list[str], session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    given.apply(session)
    given.apply(session)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(" has no effect: ")[0] for line in lines] == told
    assert all(line.partition(" has no effect: ")[2] for line in lines)


def test_a_dockerfile_is_refused_where_something_is_built(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="--dockerfile: cog-nix builds without a Dockerfile"):
        Options(dockerfile="Dockerfile").apply(session)
    Options(dockerfile="Dockerfile").apply(session, builds=False)
    assert capfd.readouterr().err == "--dockerfile has no effect: nothing is built\n"


@pytest.mark.parametrize("command", ["build", "exec"])
def test_two_base_images_exclude_each_other(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [command, "--use-cog-base-image=false", "--use-cuda-base-image=true"]
    assert run([*arguments, "true"] if command == "exec" else arguments) == 1
    said = "The flags --use-cog-base-image and --use-cuda-base-image are mutually exclusive: you can only"
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("asked", "variable", "seen"),
    [
        pytest.param("tty", "", ["bar", "step", "text"], id="bars-without-a-terminal"),
        pytest.param("plain", "", ["step", "text"], id="lines"),
        pytest.param("quiet", "", ["text"], id="results-only"),
        pytest.param(None, "", ["step", "text"], id="auto-without-a-terminal"),
        pytest.param(None, "tty", ["bar", "step", "text"], id="from-the-environment"),
        pytest.param("plain", "tty", ["step", "text"], id="flag-beats-environment"),
        pytest.param("rawjson", "", ["step", "text"], id="of-buildkit"),
    ],
)
def test_progress(
    asked: str | None,
    variable: str,
    seen: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BUILDKIT_PROGRESS", variable)
    reporter = TerminalReporter()
    show_progress(reporter, asked)
    with reporter.bytes_bar("Loading", 10) as bar:
        bar.advance(5)
    reporter.step("next")
    reporter.info("done")
    print_error("error: told in any case")
    said = capfd.readouterr().err
    signs = {"bar": "[#", "step": "next\n", "text": "done\n"}
    assert [name for name, sign in signs.items() if sign in said] == seen
    assert said.endswith("error: told in any case\n")


@pytest.mark.parametrize("variable", [False, True], ids=["flag", "environment"])
def test_an_unknown_style_is_refused(
    variable: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if variable:
        monkeypatch.setenv("BUILDKIT_PROGRESS", "fancy")
    assert run(["build", *([] if variable else ["--progress", "fancy"])]) == 1
    source = "BUILDKIT_PROGRESS" if variable else "--progress"
    said = capfd.readouterr().err
    assert f"error: {source} fancy: unknown style." in said
    assert "auto, tty, plain, quiet" in said


@pytest.mark.parametrize("behind", [False, True], ids=["before-the-command", "behind-it"])
def test_options_of_the_program(
    behind: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("COG_REGISTRY_HOST", "")
    monkeypatch.chdir(tmp_path)
    options = ["--no-color", "--profile", "--registry", "registry.example.org"]
    assert run(["config", *options] if behind else [*options, "config"]) == 1
    assert (os.environ["NO_COLOR"], os.environ["COG_REGISTRY_HOST"]) == ("1", "registry.example.org")
    assert "--profile has no effect" in capfd.readouterr().err


def test_predict_is_deprecated(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "a=b", "--json", "no json"]) == 1
    assert capfd.readouterr().err.startswith('warning: "cog predict" is deprecated, use "cog run"\n')


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "gzip"), ("zstd:chunked", "zstd:chunked"), ("none", "none"), ("auto", None)],
)
def test_how_layers_are_compressed(given: str | None, expected: str | None) -> None:
    assert packing_of(given) == expected


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(ConfigError, match="--compression brotli: expected gzip, zstd"):
        packing_of("brotli")
