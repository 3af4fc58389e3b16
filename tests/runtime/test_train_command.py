"""``cog-nix train``, with a fake runtime and with a real image."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import building, predict
from cog_nix.cli.building import LoadedImage
from cog_nix.config.model import Project
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.media import encode_data_url
from cog_nix.runtime.schema import ApiSchema
from tests.cli.commands import invoke_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    from .conftest import FakeModel, FakeRuntime

    Invoke = Callable[..., Result]

TRAIN_ONLY = Path(__file__).parent / "projects" / "train-only"


def training(output: dict[str, Any]) -> dict[str, Any]:
    inputs = {"type": "object", "properties": {"epochs": {"type": "integer", "minimum": 1}}}
    reply = {"application/json": {"schema": {"properties": {"output": output}}}}
    return {
        "components": {"schemas": {"TrainingInput": inputs}},
        "paths": {"/trainings": {"post": {"responses": {"200": {"content": reply}}}}},
    }


@pytest.fixture
def invoke(
    fake_runtime: FakeRuntime, model: FakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Invoke:
    """Run the command in an empty folder, whose build makes the image ``model``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUST_LOG", raising=False)
    model.openapi = training({"type": "string"})
    config = json.dumps({"build": {"python_version": "3.13"}})
    fake_runtime.images["model"] = {"run.cog.config": config}
    monkeypatch.setattr(predict, "usable_runtime", lambda _: fake_runtime)
    monkeypatch.setattr(building, "project_schema", lambda _file: ApiSchema(model.openapi))
    monkeypatch.setattr(
        building,
        "build_and_load",
        lambda *_, **__: LoadedImage(
            "model",
            json.dumps(model.openapi),
            has_gpu=False,
            project=Project(tmp_path, tmp_path / "cog.yaml"),
        ),
    )
    return lambda *arguments: invoke_command("train", *arguments)


def test_a_training_runs_on_a_server_of_its_own_kind(
    invoke: Invoke, fake_runtime: FakeRuntime, model: FakeModel, tmp_path: Path
) -> None:
    result = invoke("-i", "epochs=3", "-e", "A=b", "--gpus", "all")
    assert (result.exit_code, result.stdout) == (0, "")
    assert [(one["path"], one["input"]) for one in model.asked] == [("/trainings", {"epochs": 3})]
    [request] = fake_runtime.requests
    assert request.command == ("python", "-m", "cog.server.http", "--x-mode", "train")
    assert (request.env["A"], request.gpus) == ("b", "all")
    assert request.mounts == ((tmp_path, "/src"),)
    assert (tmp_path / "weights").read_text() == "hello"
    assert result.stderr.startswith('Command "train" is deprecated, the train command will be removed')
    assert "Running training..." in result.stderr


def test_files_take_their_name_from_the_output_and_their_type(
    invoke: Invoke, model: FakeModel, tmp_path: Path
) -> None:
    model.openapi = training({"type": "string", "format": "uri"})
    model.answer = {"status": "succeeded", "output": encode_data_url(b"w", "application/x-tar")}
    assert invoke("model", "-i", "epochs=1").exit_code == 0
    assert (tmp_path / "weights.tar").read_bytes() == b"w"
    assert invoke("-o", "other.bin").exit_code == 0
    assert (tmp_path / "other.bin").read_bytes() == b"w"


@pytest.mark.parametrize("image", [[], ["model"]], ids=["project", "image"])
def test_a_wrong_input_is_found_before_anything_starts(
    invoke: Invoke, fake_runtime: FakeRuntime, model: FakeModel, image: list[str]
) -> None:
    fake_runtime.images["model"]["run.cog.openapi_schema"] = json.dumps(model.openapi)
    result = invoke(*image, "-i", "epochs=0")
    assert isinstance(result.exception, RuntimeFailure)
    assert result.exception.message == 'invalid input "epochs": number must be at least 1'
    assert fake_runtime.requests == []


def test_it_is_there_but_not_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cog_nix", "--help"], capture_output=True, text=True, check=True
    )
    assert "  train " not in done.stdout


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_an_image_is_trained(build_project: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("ab")
    command = [sys.executable, "-m", "cog_nix", "train", build_project(TRAIN_ONLY)]
    done = subprocess.run(
        [*command, "-i", "data=@data.txt", "-i", "epochs=3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "3 epochs" in done.stderr
    with tarfile.open(tmp_path / "weights.tar") as archive:
        content = archive.extractfile("model.txt")
        assert content is not None
        assert content.read() == b"ababab"
