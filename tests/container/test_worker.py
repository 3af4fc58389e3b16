"""A worker's container: started once, and what is told when it is of no use."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.container import server
from cog_nix.container.worker import ContainerWorker
from cog_nix.errors import NixError, RuntimeFailure

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Worker, WorkerRequest


class Started:
    """A server without a container."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self.process = process
        self.removed = False

    def ended(self) -> str | None:
        return None if self.process and self.process.poll() is None else "python: no such file"

    def remove(self) -> None:
        self.removed = True
        if self.process:
            self.process.kill()
            self.process.wait()


class Here:
    """A runtime that starts a server here, which is told in what state it is."""

    def __init__(self, *, starts: bool = True, report: str = "") -> None:
        self.starts, self.report = starts, report
        self.requests: list[WorkerRequest] = []
        self.started: list[Started] = []

    def start_worker(self, request: WorkerRequest) -> Worker:
        self.requests.append(request)
        code = f"from cog_nix.container import server; server._trial = lambda: {self.report!r}; server.main()"
        root = Path(server.__file__).parents[2]
        line = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"]
        folder = request.command[5:]
        self.started.append(Started(subprocess.Popen([*line, *folder]) if self.starts else None))
        return self.started[-1]


def test_one_container_serves_all_programs_and_is_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    runtime, images = Here(), []
    project = tmp_path / "model"
    project.mkdir()
    (project / "inner").mkdir()
    folders = [project, project / "inner"]
    worker = ContainerWorker(runtime, lambda: images.append(1) or "image", folders, tmp_path / "cache")  # type: ignore[func-returns-value]
    assert not worker.launchers.exists()
    for _ in range(2):
        worker.ready()
    assert (len(runtime.requests), images) == (1, [1])
    [request] = runtime.requests
    assert project in request.folders
    assert project / "inner" not in request.folders, "it is seen through the folder around it"
    names = {path.name for path in worker.launchers.iterdir()}
    assert names == {"nix", "nix-build", "nix-store", "python", "socket", "lock"}
    worker.close()
    [started] = runtime.started
    assert started.process
    assert started.process.wait(30) == 0
    assert not worker.launchers.exists()


@pytest.mark.root
def test_another_user_reaches_neither_socket_nor_launchers() -> None:
    umask = os.umask(0)
    try:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as shared:
            Path(shared).chmod(0o777)
            runtime = Here()
            worker = ContainerWorker(runtime, lambda: "image", [], Path(shared) / "cache")
            worker.ready()
            connect = (
                f"import socket; socket.socket(socket.AF_UNIX).connect({str(worker.launchers / 'socket')!r})"
            )
            replace = f"open({str(worker.launchers / 'python')!r}, 'w')"
            for attempt in (connect, replace):
                tried = subprocess.run(
                    ["/usr/bin/python3", "-c", attempt],
                    user=65534,
                    group=65534,
                    extra_groups=[],
                    cwd="/",
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert "Permission denied" in tried.stderr
            worker.close()
            [started] = runtime.started
            assert started.process
            assert started.process.wait(30) == 0
    finally:
        os.umask(umask)


def test_namespaces_are_tried_once_for_an_image(tmp_path: Path) -> None:
    runtime = Here()
    for image in ("one", "one", "other"):
        worker = ContainerWorker(runtime, lambda image=image: image, [], tmp_path / "cache")  # type: ignore[misc]
        worker.ready()
        worker.close()
        started = runtime.started[-1]
        assert started.process
        assert started.process.wait(30) == 0
    assert [request.command[-1] == server.TRIED for request in runtime.requests] == [False, True, False]


def test_what_a_killed_owner_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "cache/workers/123-ab"
    left.mkdir(parents=True)
    (left / "lock").touch()
    runtime = Here()
    worker = ContainerWorker(runtime, lambda: "image", [], tmp_path / "cache")
    worker.ready()
    assert not left.exists()
    worker.close()
    [started] = runtime.started
    assert started.process
    assert started.process.wait(30) == 0


@pytest.mark.parametrize(
    ("report", "hint"),
    [
        pytest.param("It cannot be.\nsudo sysctl -w a=b", "sudo sysctl -w a=b", id="setting"),
        pytest.param("It cannot be.\n", "See docs/how-to/containers.md", id="container"),
    ],
)
def test_a_container_without_namespaces_is_told_with_what_helps(
    report: str, hint: str, tmp_path: Path
) -> None:
    runtime = Here(report=report)
    worker = ContainerWorker(runtime, lambda: "image", [], tmp_path / "cache")
    with pytest.raises(NixError, match=r"isolated there either\. It cannot be\.") as caught:
        worker.ready()
    assert caught.value.hint.startswith(hint)
    [started] = runtime.started
    assert started.process
    assert started.process.wait(30) == 0


def test_a_container_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    runtime = Here(starts=False)
    worker = ContainerWorker(runtime, lambda: "image", [], tmp_path / "cache")
    with pytest.raises(RuntimeFailure, match="has ended at once: python: no such file"):
        worker.ready()
    assert runtime.started[0].removed
    assert not worker.launchers.exists()
