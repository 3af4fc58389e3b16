"""The promises of Cog's images, kept by an image that runs without a daemon."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.image import ImageDescription
from cog_nix.report import SilentReporter
from cog_nix.spec import ContainerRequest
from cog_nix_compat import bench, listener, suite
from cog_nix_hooks.bundle.runtime import BundleRuntime
from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cog_nix_hooks.bundle.container import BundleContainer

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]


class Running:
    """A container as the cases want it, started without Docker."""

    def __init__(self, container: BundleContainer, env: Sequence[str]) -> None:
        self._container = container
        self._env = env
        self.url = container.url

    def alive(self) -> bool:
        return self._container.alive()

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside: in the namespaces of the main process, below its root."""
        main = self._container._main(5)
        enter = ["nsenter", "--target", str(main), "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]
        clean = ["/usr/bin/env", "-i", "HOME=/root", *self._env, "/bin/sh", "-c", command]
        done = subprocess.run(
            [*enter, *clean],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def stop(self, signal: str, within: float) -> tuple[int | None, float]:
        begun = time.monotonic()
        self._container.signal(signal)
        try:
            status: int | None = self._container.wait(within)
        except RuntimeFailure:
            status = None
        return status, time.monotonic() - begun

    def logs(self) -> str:
        return self._container.logs()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._container.__exit__(*exc)


def test_every_promise_is_kept(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("project") / "hello-world"
    ignored = shutil.ignore_patterns(".cog", "result", "__pycache__")
    shutil.copytree(EXAMPLES / "hello-world", folder, ignore=ignored)
    cog_nix("build", "--no-load", cwd=folder)
    program: Path = (folder / "result").resolve()
    image = ImageDescription.read(program)
    runtime = BundleRuntime(folder.parent / "bundle")
    assert runtime.available() is None
    runtime.load(program, ["hello"], SilentReporter())

    def start(
        _docker: None, reference: str, *, env: Mapping[str, str], command: Sequence[str] | None = None
    ) -> Running:
        request = ContainerRequest(reference, env=env, command=tuple(command) if command else None)
        return Running(runtime.start(request), image.config["config"]["Env"])  # type: ignore[arg-type]

    def inspected(*_: object) -> dict[str, Any]:
        config = image.config
        layers = {"Type": "layers", "Layers": config["rootfs"]["diff_ids"]}
        names = {"Id": image.id, "Os": config["os"], "Architecture": config["architecture"]}
        return {**names, "Config": config["config"], "RootFS": layers, "Created": config["created"]}

    monkeypatch.setattr(bench.Running, "start", staticmethod(start))
    monkeypatch.setattr(suite, "connect", contextlib.nullcontext)
    monkeypatch.setattr(suite, "inspect_image", inspected)
    monkeypatch.setattr(suite, "gateway", lambda _docker: "127.0.0.1")
    monkeypatch.setattr(listener, "HOST", "127.0.0.1")
    results = list(suite.results("hello", inputs={"text": "world"}))
    assert [result for result in results if result.outcome == "fail"] == []
    assert sum(result.outcome == "pass" for result in results) >= 25
