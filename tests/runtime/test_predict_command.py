"""The command, from flags to stdout, stderr and exit status, with a fake runtime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import building, predict
from cog_nix.cli.building import LoadedImage
from cog_nix.config.model import Project
from cog_nix.errors import CogNixError, PredictionError
from cog_nix.runtime.media import encode_data_url
from cog_nix.runtime.schema import ApiSchema
from tests.cli.commands import invoke_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from .conftest import FakeModel, FakeRuntime

    Invoke = Callable[..., Result]


@pytest.fixture
def invoke(
    fake_runtime: FakeRuntime, model: FakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Invoke:
    """Run the command in an empty folder; the image ``model`` is held, a build makes it too."""
    monkeypatch.chdir(tmp_path)
    config = json.dumps({"build": {"python_version": "3.13"}})
    fake_runtime.images["model"] = {
        "run.cog.config": config,
        "run.cog.openapi_schema": json.dumps(model.openapi),
    }
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
    monkeypatch.delenv("RUST_LOG", raising=False)

    def run(*arguments: str, **options: Any) -> Result:
        fake_runtime.images["model"]["run.cog.openapi_schema"] = json.dumps(model.openapi)
        result: Result = invoke_command(*arguments, **options)
        return result

    return run


def failure(result: Result) -> CogNixError:
    assert isinstance(result.exception, CogNixError), result.exception
    return result.exception


def test_stdout_is_the_answer_and_nothing_else(invoke: Invoke, fake_runtime: FakeRuntime) -> None:
    result = invoke("run", "model", "-i", "text=a", "-e", "A=b=c")
    assert (result.exit_code, result.stdout) == (0, "hello\n")
    assert result.stderr == (
        "\nStarting Docker image and running setup()...\na line of the container\nRunning prediction...\n\n"
    )
    assert fake_runtime.requests[0].env == {"A": "b=c", "LOG_FORMAT": "json", "COG_LOG_LEVEL": "info"}
    assert fake_runtime.requests[0].gpus is None
    assert fake_runtime.container.removed


def test_without_an_image_the_project_is_built(invoke: Invoke) -> None:
    result = invoke("run", "-i", "text=a")
    assert result.stdout == "hello\n"
    assert result.stderr.startswith("Building Docker image from environment in cog.yaml...\n\n\nStarting")


def test_predict_is_the_same(invoke: Invoke) -> None:
    first, second = (invoke(name, "model", "-i", "text=a") for name in ("run", "predict"))
    deprecated = 'warning: "cog predict" is deprecated, use "cog run"\n'
    assert (first.stdout, deprecated + first.stderr) == (second.stdout, second.stderr)


def test_flags_of_upstreams_build_are_accepted(invoke: Invoke) -> None:
    flags = [
        "--progress",
        "plain",
        "--use-cuda-base-image",
        "false",
        "--no-use-cog-base-image",
        "-f",
        "other.yaml",
    ]
    assert invoke("run", "model", "-i", "text=a", *flags).exit_code == 0


def test_wrong_inputs_of_a_project_stop_before_it_is_built(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "build_and_load", lambda *_, **__: pytest.fail("built"))
    monkeypatch.setattr(predict, "usable_runtime", lambda _: pytest.fail("asked for Docker"))
    assert failure(invoke("run", "-i", "typo=a")).message == 'unknown input "typo"; valid inputs are: text'


def test_a_projects_schema_comes_from_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    (tmp_path / "predict.py").write_text(
        "from cog import BasePredictor\n\n\nclass Predictor(BasePredictor):\n"
        "    def predict(self, n: int) -> str:\n        return str(n)\n"
    )
    monkeypatch.chdir(tmp_path)
    component = building.project_schema("cog.yaml").input_component()
    assert component["properties"]["n"]["type"] == "integer"


def test_wrong_inputs_stop_before_anything_starts(invoke: Invoke, fake_runtime: FakeRuntime) -> None:
    assert failure(invoke("run", "model")).message == 'missing required input "text"'
    assert fake_runtime.requests == []


def test_an_image_without_a_schema_is_asked_when_it_runs(
    invoke: Invoke, fake_runtime: FakeRuntime, model: FakeModel
) -> None:
    model.openapi["components"]["schemas"]["Input"].pop("properties")
    assert invoke("run", "model").exit_code == 1
    assert len(fake_runtime.requests) == 1
    assert fake_runtime.container.removed


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("text=a", "Invalid image name 'text=a'. Did you forget `-i`?"),
        ("gone", "no image gone to pull"),
        ("plain", "image plain: image is not a Cog model: it has no label run.cog.config."),
    ],
)
def test_images_that_cannot_be_run(
    invoke: Invoke, fake_runtime: FakeRuntime, image: str, message: str
) -> None:
    fake_runtime.images["plain"] = {}
    assert failure(invoke("run", image)).message == message


@pytest.mark.parametrize(
    ("flags", "config", "expected"),
    [
        ([], True, "all"),
        ([], False, None),
        (["--gpus", "device=1"], True, "device=1"),
        (["--gpus", "all"], False, "all"),
    ],
    ids=["config", "neither", "flag-wins", "flag"],
)
def test_gpus(
    invoke: Invoke, fake_runtime: FakeRuntime, flags: list[str], expected: str | None, *, config: bool
) -> None:
    fake_runtime.images["model"]["run.cog.config"] = json.dumps({"build": {"gpu": config}})
    invoke("run", "model", "-i", "text=a", *flags)
    assert fake_runtime.requests[0].gpus == expected


def test_the_replicate_token(invoke: Invoke, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    arguments = ("run", "model", "-i", "text=a", "--use-replicate-token")
    assert "Failed to find REPLICATE_API_TOKEN" in failure(invoke(*arguments)).message
    monkeypatch.setenv("REPLICATE_API_TOKEN", "secret")
    result = invoke(*arguments)
    assert model.asked[0]["context"] == {"replicate_api_token": "secret"}
    assert "secret" not in result.output
    invoke("run", "model", "-i", "text=a")
    assert model.asked[1]["context"] == {}


def test_text_goes_to_the_file_that_was_asked_for(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("run", "model", "-i", "text=a", "-o", "answer.txt")
    assert result.stdout == ""
    assert result.stderr.endswith("Written output to: answer.txt\n")
    assert (tmp_path / "answer.txt").read_text() == "hello"


def test_a_file_output_is_written_and_named(invoke: Invoke, model: FakeModel, tmp_path: Path) -> None:
    model.openapi["components"]["schemas"]["Output"] = {"type": "string", "format": "uri"}
    model.answer = {"status": "succeeded", "output": encode_data_url(b"png", "image/png")}
    result = invoke("run", "model", "-i", "text=a")
    assert result.stdout == ""
    assert result.stderr.endswith("Written output to: output.png\n")
    assert (tmp_path / "output.png").read_bytes() == b"png"


def test_a_yielding_model_answers_a_list(invoke: Invoke, model: FakeModel) -> None:
    model.openapi["components"]["schemas"]["Output"] = {
        "type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator",
    }  # fmt: skip
    model.answer = {"status": "succeeded", "output": ["a ", "b"]}
    assert invoke("run", "model", "-i", "text=a").stdout == '[\n  "a ",\n  "b"\n]\n'


def test_json_shows_the_whole_answer(invoke: Invoke, model: FakeModel, tmp_path: Path) -> None:
    model.openapi["components"]["schemas"]["Output"] = {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
    }
    files = [encode_data_url(b"x", "image/gif")]
    model.answer = {"status": "succeeded", "output": files, "metrics": {"predict_time": 1.0}}
    result = invoke("run", "model", "--json", '{"text": "a"}')
    assert json.loads(result.stdout) == {
        "status": "succeeded", "output": ["output.0.gif"], "error": "", "metrics": {"predict_time": 1},
    }  # fmt: skip
    assert (tmp_path / "output.0.gif").exists()


def test_json_to_a_file_of_another_name_is_said(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("run", "model", "--json", '{"text": "a"}', "-o", "answer.txt")
    assert "--output value does not have a .json suffix: answer.txt" in result.stderr
    assert json.loads((tmp_path / "answer.txt").read_text())["output"] == "hello"


def test_a_failed_prediction(invoke: Invoke, model: FakeModel, fake_runtime: FakeRuntime) -> None:
    model.answer = {"status": "failed", "error": "ValueError: no", "logs": "step 1\n"}
    error = failure(invoke("run", "model", "-i", "text=a"))
    assert isinstance(error, PredictionError)
    assert error.message == 'Prediction failed with status "failed": ValueError: no\n\nstep 1'
    assert fake_runtime.container.removed


def test_a_failed_prediction_as_json_exits_1(invoke: Invoke, model: FakeModel) -> None:
    model.answer = {"status": "failed", "error": "ValueError: no"}
    result = invoke("run", "model", "--json", '{"text": "a"}')
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"status": "failed", "output": None, "error": "ValueError: no"}


def test_no_output(invoke: Invoke, model: FakeModel) -> None:
    model.answer = {"status": "succeeded"}
    result = invoke("run", "model", "-i", "text=a")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith("No output generated\n")
