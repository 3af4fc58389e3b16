"""What steps cannot say: places in an image that must agree with one another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from cog_nix.check.matching import differences
from cog_nix.check.result import Broken
from cog_nix.check.subject import SCHEMA_LABEL
from cog_nix.system.jsonvalue import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cog_nix.check.engine import Running
    from cog_nix.check.subject import Image

    Container = Callable[[], Running]
    """Gives the running container, and starts it if need be."""

SCHEMA_FILE = "/src/.cog/openapi_schema.json"
GRACE_SECONDS = 10.0


def _get(running: Running, path: str) -> Any:
    return httpx.get(running.url + path, timeout=30).json()


def labels(image: Image, _container: Container) -> None:
    """The labels that cog writes are there, and those that hold JSON can be read."""
    wanted = ("run.cog.version", "run.cog.config", SCHEMA_LABEL, "run.cog.pip_freeze", "run.cog.has_init")
    missing = [name for name in wanted if name not in image.labels]
    if missing:
        raise Broken(f"labels {', '.join(missing)} are missing")
    if image.labels["run.cog.has_init"] != "true":
        raise Broken(f"run.cog.has_init is {image.labels['run.cog.has_init']!r}")
    build = image.cog_config.get("build")
    if not isinstance(build, dict) or not build.get("python_version"):
        raise Broken("run.cog.config has no build.python_version, so it is not completed")


def references(image: Image, _container: Container) -> None:
    """The environment names the classes that the configuration names."""
    for key, variable in (("predict", "COG_PREDICT_TYPE_STUB"), ("train", "COG_TRAIN_TYPE_STUB")):
        if image.cog_config.get(key) != image.env.get(variable):
            raise Broken(f"{variable} is {image.env.get(variable)!r}, config {image.cog_config.get(key)!r}")
    concurrency = (image.cog_config.get("concurrency") or {}).get("max")
    if concurrency and image.env.get("COG_MAX_CONCURRENCY") != str(concurrency):
        raise Broken(f"COG_MAX_CONCURRENCY is {image.env.get('COG_MAX_CONCURRENCY')!r}, config {concurrency}")


def schema(image: Image, container: Container) -> None:
    """The OpenAPI document is the same in the label, over HTTP and in the file."""
    served = _get(container(), "/openapi.json")
    if image.has_coglet:
        _same("served", served, image.schema)
    else:
        _same("served", _gist(served), _gist(image.schema))
    code, text = container().run(f"cat {SCHEMA_FILE}")
    if code:
        raise Broken(f"{SCHEMA_FILE} cannot be read: {text.strip()}")
    _same(SCHEMA_FILE, loads(text), image.schema)


def _gist(value: Any) -> Any:
    """Return a document without what differs between releases of pydantic, which writes it before 0.17."""
    if isinstance(value, list):
        return [_gist(item) for item in value]
    if not isinstance(value, dict):
        return value
    wrapped = value.get("allOf")
    if isinstance(wrapped, list) and len(wrapped) == 1:
        value = {**{key: inner for key, inner in value.items() if key != "allOf"}, **wrapped[0]}
    dropped = {"nullable"} | (
        {"additionalProperties"} if value.get("additionalProperties") is True else set()
    )
    dropped |= {"title"} if isinstance(value.get("title"), str) else set()
    return {key: _gist(inner) for key, inner in value.items() if key not in dropped}


def _same(where: str, actual: Any, label: Any) -> None:
    if actual != label:
        found = [*differences(label, actual, where), *differences(actual, label, "label")]
        raise Broken("; ".join(found[:3]))


def versions(image: Image, container: Container) -> None:
    """``run.cog.version`` is the OpenAPI document's, and the server tells that of the installed SDK."""
    info = image.schema["info"]["version"]
    if image.labels["run.cog.version"] != info:
        raise Broken(f"run.cog.version is {image.labels['run.cog.version']}, info.version {info}")
    server_version(image, container)


def server_version(image: Image, container: Container) -> None:
    """``run.cog.version`` is that of the installed SDK, and the server tells it."""
    told = _get(container(), "/")["cog_version"]
    code, installed = container().run("python -c 'import importlib.metadata as m; print(m.version(\"cog\"))'")
    if code or installed.strip() != told:
        raise Broken(f"the server says cog {told}, installed is {installed.strip()}")
    if image.labels["run.cog.version"] != told:
        raise Broken(f"run.cog.version is {image.labels['run.cog.version']}, the server tells {told}")


def pip_freeze(image: Image, container: Container) -> None:
    """``run.cog.pip_freeze`` is what ``python -m pip freeze`` prints in the container."""
    code, text = container().run("python -m pip freeze 2>/dev/null")
    if code:
        raise Broken(f"`python -m pip freeze` exited with {code}")
    labelled, found = (set(value.splitlines()) for value in (image.labels["run.cog.pip_freeze"], text))
    if labelled != found:
        raise Broken(f"only in the label: {sorted(labelled - found)}, only found: {sorted(found - labelled)}")


def python_version(image: Image, container: Container) -> None:
    """``python`` has the version that the configuration asks for."""
    wanted = str(image.cog_config["build"]["python_version"])
    _, text = container().run("python -c 'import platform; print(platform.python_version())'")
    if not f"{text.strip()}.".startswith(f"{wanted}."):
        raise Broken(f"python is {text.strip()}, asked for {wanted}")


def environment(image: Image, container: Container) -> None:
    """``environment:`` of cog.yaml reaches processes in the container."""
    _, text = container().run("env -0 | tr '\\0' '\\n'")
    lines = set(text.splitlines())
    for entry in image.cog_config.get("environment") or ():
        name = entry.partition("=")[0]
        if not any(line.startswith(f"{name}=") for line in lines):
            raise Broken(f"{name} of `environment:` is not set")


def ended(_image: Image, container: Container) -> None:
    """The container ends within what ``docker stop`` grants; its removal takes what the machine needs."""
    running = container()
    deadline = time.monotonic() + GRACE_SECONDS
    while running.alive():
        if time.monotonic() > deadline:
            raise Broken(f"it still runs after {GRACE_SECONDS:g} s")
        time.sleep(0.05)


CHECKS: Mapping[str, Callable[[Image, Container], None]] = {
    check.__name__: check
    for check in (
        labels,
        references,
        schema,
        versions,
        server_version,
        pip_freeze,
        python_version,
        environment,
        ended,
    )
}
"""By the name that cases use."""
