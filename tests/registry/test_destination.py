from __future__ import annotations

import re

import pytest

from cog_nix.config.model import Config
from cog_nix.errors import ConfigError
from cog_nix.registry.destination import resolve

DIGEST = f"sha256:{'0' * 64}"
TIME = r"\d{8}T\d{6}Z"


@pytest.mark.parametrize(
    ("image", "target", "expected"),
    [
        ("r8.im/me/model", None, "r8.im/me/model:latest"),
        ("r8.im/me/model", "localhost:5000/me/other:v2", "localhost:5000/me/other:v2"),
        (None, "me/model", "index.docker.io/me/model:latest"),
    ],
)
def test_images(image: str | None, target: str | None, expected: str) -> None:
    found = resolve(Config(image=image), target, {})
    assert (str(found.reference), found.bundle, found.target) == (expected, False, target or image)
    assert found.image == found.reference


@pytest.mark.parametrize(
    ("model", "target", "environment", "expected"),
    [
        ("r8.im/me/model", None, {}, rf"r8\.im/me/model:{TIME}"),
        ("r8.im/me/model", "localhost:5000/me/other", {}, rf"localhost:5000/me/other:{TIME}"),
        ("r8.im/me/model", "localhost:5000/me/other:v2", {"COG_MODEL": "x/y"}, "localhost:5000/me/other:v2"),
        ("r8.im/me/model", None, {"COG_MODEL": "r8.im/you/model:v3"}, "r8.im/you/model:v3"),
        ("r8.im/me/model", None, {"COG_MODEL_TAG": "v4"}, "r8.im/me/model:v4"),
        (
            "r8.im/me/model",
            None,
            {"COG_MODEL_REGISTRY": "localhost:5000"},
            rf"localhost:5000/me/model:{TIME}",
        ),
        (None, None, {"COG_MODEL_REPO": "me/model", "COG_MODEL_TAG": "v1"}, "r8.im/me/model:v1"),
        (
            None,
            None,
            {"COG_MODEL_REPO": "me/model", "COG_MODEL_TAG": "v1", "COG_REGISTRY_HOST": "r.example.org"},
            "r.example.org/me/model:v1",
        ),
    ],
)
def test_bundles(model: str | None, target: str | None, environment: dict[str, str], expected: str) -> None:
    found = resolve(Config(model=model), target, environment)
    assert found.bundle
    assert re.fullmatch(expected, str(found.reference))
    assert found.image.tag == f"cog-image.{found.reference.tag}"


@pytest.mark.parametrize(
    ("config", "target", "environment", "words"),
    [
        (Config(), None, {}, "To push images, you must either set the 'image' option in cog.yaml or pass"),
        (Config(), f"me/model@{DIGEST}", {}, "cannot push to digest-pinned target"),
        (Config(image=f"me/model@{DIGEST}"), None, {}, "cannot push to digest-pinned target"),
        (Config(model="r8.im/me/m1"), f"r8.im/me/m1@{DIGEST}", {}, "cannot push to digest-pinned target"),
        (Config(model="r8.im/me/m1"), None, {"COG_MODEL": f"me/m1@{DIGEST}"}, "cannot push to digest-pinned"),
        (Config(image="me/model"), None, {"COG_MODEL": "me/model"}, "'image' in cog.yaml cannot be combined"),
        (Config(), "UPPER/Case", {}, 'invalid image reference "UPPER/Case"'),
        (Config(), None, {"COG_MODEL": "UPPER/Case"}, "invalid COG_MODEL value: invalid image reference"),
        (
            Config(),
            None,
            {"COG_MODEL_REPO": "a:b"},
            'invalid COG_MODEL_REPO "a:b": must be a bare repository',
        ),
        (Config(), None, {"COG_MODEL_REPO": "A"}, 'invalid COG_MODEL_REPO "A"'),
        (Config(), None, {"COG_MODEL_REGISTRY": "a/b"}, 'invalid COG_MODEL_REGISTRY "a/b": must be a bare'),
        (Config(), None, {"COG_MODEL_TAG": "cog-x"}, 'invalid COG_MODEL_TAG "cog-x": uses reserved prefix'),
        (Config(), None, {"COG_MODEL_TAG": "-x"}, "doesn't match OCI tag regex"),
        (Config(model="r8.im/me/m1"), "r8.im/me/m1:cog-x", {}, "invalid bundle push target"),
    ],
)
def test_no_destinations(config: Config, target: str | None, environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(config, target, environment)
    assert words in caught.value.message
