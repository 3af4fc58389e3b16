from __future__ import annotations

import pytest

from cog_nix.cli.app import run
from cog_nix.cli.arguments import normalize


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        pytest.param("run -i a=b --json {} IMAGE", "run -i a=b --json {} IMAGE", id="nothing-to-do"),
        pytest.param("run -i=a=b -o=out.png", "run -i a=b -o out.png", id="short-with-equals-sign"),
        pytest.param("run -i -o=x", "run -i -o=x", id="a-value-is-left-alone"),
        pytest.param(
            "run --use-cog-base-image=false", "run --no-use-cog-base-image", id="switched-off-by-its-opposite"
        ),
        pytest.param("run --use-cog-base-image=1", "run --use-cog-base-image", id="switched-on"),
        pytest.param("run --use-replicate-token=false x", "run x", id="switched-off-by-leaving-out"),
        pytest.param("run --use-replicate-token=maybe", "run --use-replicate-token=maybe", id="no-boolean"),
        pytest.param("run --debug x", "--debug run x", id="of-the-program-behind-the-command"),
        pytest.param("run --debug=true x --debug=false", "--debug run x", id="of-the-program-with-a-value"),
        pytest.param("run -- -i=a --debug", "run -- -i=a --debug", id="nothing-after-two-dashes"),
        pytest.param("run --gpus=all --json={}", "run --gpus=all --json={}", id="long-with-equals-sign"),
        pytest.param("run -i", "run -i", id="value-forgotten"),
        pytest.param("push --json --debug x", "--debug push --json x", id="json-that-is-a-switch"),
        pytest.param("push --json=true x --json=false", "push --json x", id="json-with-a-value"),
        pytest.param("run --json=true", "run --json=true", id="json-that-is-read"),
        pytest.param("build -q -t x --verbose", "-q --verbose build -t x", id="quiet-and-verbose"),
        pytest.param("exec ls -v -q", "exec -- ls -v -q", id="flags-of-another-program"),
        pytest.param("push --no-cache=true --strip=false", "push --no-cache", id="switches-of-push"),
        pytest.param("build x --no-color --profile", "--no-color --profile build x", id="colours"),
        pytest.param("push --registry=a x --registry b", "--registry=a --registry b push x", id="registry"),
        pytest.param("exec -p 80 ls -p=1 --debug", "exec -p 80 -- ls -p=1 --debug", id="another-program"),
        pytest.param("run --keep -i a=b", "run --keep=10m -i a=b", id="kept"),
        pytest.param("run --keep=1h --keep 90s x", "run --keep=1h --keep=90s x", id="kept-for-a-time"),
        pytest.param("run --no-keep x", "run --keep=0 x", id="not-kept"),
        pytest.param("run -i --keep", "run -i --keep", id="keep-as-a-value"),
        pytest.param("serve --watch=true --update-lock=false", "serve --watch", id="watched"),
        pytest.param("--debug exec --gpus all -- ls", "--debug exec --gpus all -- ls", id="its-own-dashes"),
    ],
)
def test_arguments_of_upstream_are_taken(given: str, taken: str) -> None:
    assert normalize(given.split()) == taken.split()


@pytest.mark.parametrize(
    "arguments",
    [
        "run --use-cog-base-image=false --use-cuda-base-image=auto --progress=plain --dockerfile=x a=b",
        "predict --debug -e=A=b --gpus=all --setup-timeout=5 --use-replicate-token=false -f=x.yaml a=b",
        "run --use-cog-base-image --progress quiet a=b",
    ],
)
def test_the_whole_command_line_takes_them(
    arguments: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cog_nix.cli.predict.usable_runtime", lambda _: None)
    assert run(arguments.split()) == 1
    assert "Invalid image name 'a=b'. Did you forget `-i`?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        ("", "cog-nix [OPTIONS] COMMAND"),
        ("help", "cog-nix [OPTIONS] COMMAND"),
        ("help build", "cog-nix build"),
    ],
)
def test_help_is_what_was_asked_for(arguments: str, usage: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments.split()) == 0
    said = capfd.readouterr()
    assert f"Usage: {usage}" in said.out
    assert said.err == ""
