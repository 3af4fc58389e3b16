"""Streams of containers on a real daemon: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.spec import ContainerRequest, InteractiveContainer, Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix_hooks.docker.runtime import DockerRuntime

pytestmark = pytest.mark.docker


class Ends:
    """Pipes around a container, and what came out of it."""

    def __init__(self, given: bytes | None) -> None:
        self.given = given
        self.out = self.err = b""

    @contextmanager
    def streams(self) -> Iterator[Streams]:
        pipes = [os.pipe() for _ in range(3)]
        (stdin, feed), (out, stdout), (err, stderr) = pipes

        def read(descriptor: int, name: str) -> None:
            with os.fdopen(descriptor, "rb") as stream:
                setattr(self, name, stream.read())

        def write() -> None:
            with suppress(BrokenPipeError), os.fdopen(feed, "wb") as stream:
                stream.write(self.given or b"")

        threads = [threading.Thread(target=read, args=pair) for pair in ((out, "out"), (err, "err"))]
        threads.append(threading.Thread(target=write))
        for thread in threads:
            thread.start()
        yield Streams(None if self.given is None else stdin, stdout, stderr)
        os.close(stdout)
        os.close(stderr)
        os.close(stdin)
        for thread in threads:
            thread.join(10)


def converse(
    runtime: DockerRuntime, request: ContainerRequest, given: bytes | None
) -> tuple[int, bytes, bytes]:
    ends = Ends(given)
    with ends.streams() as streams, runtime.start(request) as container:
        assert isinstance(container, InteractiveContainer)
        status = container.attach(streams)
    return status, ends.out, ends.err


def shell(
    image: str, script: str, *, stdin: bool = True, tty: bool = False, **more: object
) -> ContainerRequest:
    command = ("sh", "-c", script)
    return ContainerRequest(image, command=command, interactive=True, stdin=stdin, tty=tty, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "given", "answer"),
    [
        pytest.param("echo one; echo two >&2", b"", (0, b"one\n", b"two\n"), id="two-streams"),
        pytest.param("exit 7", b"", (7, b"", b""), id="exit-status"),
        pytest.param("read a; read b; echo $b $a", b"x\ny\n", (0, b"y x\n", b""), id="input"),
        pytest.param("while read a; do :; done; echo end", b"x\n" * 9, (0, b"end\n", b""), id="end-of-input"),
        pytest.param("echo early", b"never read " * 99999, (0, b"early\n", b""), id="unread-input"),
        pytest.param("read a || echo nothing", None, (0, b"nothing\n", b""), id="without-input"),
    ],
)
def test_streams(
    runtime: DockerRuntime,
    shell_image: str,
    script: str,
    given: bytes | None,
    answer: tuple[int, bytes, bytes],
) -> None:
    request = shell(shell_image, script, stdin=given is not None)
    assert converse(runtime, request, given) == answer


def test_a_terminal_has_one_stream_and_a_size(runtime: DockerRuntime, shell_image: str) -> None:
    request = shell(shell_image, "test -t 0 && test -t 1 && echo terminal; echo x >&2", tty=True)
    assert converse(runtime, request, b"") == (0, b"terminal\r\nx\r\n", b"")
    with runtime.start(shell(shell_image, "sleep 60", tty=True)) as container:
        assert isinstance(container, InteractiveContainer)
        container.resize(33, 77)
    container.resize(1, 1)  # it is gone: nothing to tell


def test_much_output_arrives_whole(runtime: DockerRuntime, shell_image: str) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
    status, out, _ = converse(runtime, shell(shell_image, script), b"")
    assert (status, out) == (0, b"".join(b"line %d\n" % number for number in range(20000)))


def test_ports_folder_and_entrypoint(runtime: DockerRuntime, shell_image: str, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    request = shell(
        shell_image,
        "pwd; echo $0 $1; read a",
        publish=(("127.0.0.1", port, 5000),),
        workdir="/mnt",
        mounts=((tmp_path, "/mnt"),),
        reach_host=True,
    )
    with runtime.start(request) as container:
        assert container.url == f"http://127.0.0.1:{port}"
    entry = ContainerRequest(
        shell_image, command=("there",), entrypoint=("sh", "-c", "echo hi $0"), interactive=True, stdin=True
    )
    assert converse(runtime, entry, b"") == (0, b"hi there\n", b"")


def test_nothing_is_published_unasked(runtime: DockerRuntime, shell_image: str) -> None:
    with (
        runtime.start(shell(shell_image, "read a")) as container,
        pytest.raises(RuntimeFailure, match="does not publish port 5000"),
    ):
        container.url  # noqa: B018 - a property that raises


def test_only_an_interactive_container_has_streams(
    runtime: DockerRuntime, shell_image: str, leftovers: Callable[[], list[str]]
) -> None:
    with runtime.start(ContainerRequest(shell_image)) as container:
        assert isinstance(container, InteractiveContainer)
        with pytest.raises(RuntimeFailure, match="not started as an interactive one"):
            container.attach(Streams(None, 1, 2))
    assert leftovers() == []


def test_a_program_that_is_not_there(runtime: DockerRuntime, shell_image: str) -> None:
    with pytest.raises(RuntimeFailure, match="Failed to start container") as caught:
        runtime.start(ContainerRequest(shell_image, command=("nosuch",), interactive=True))
    assert caught.value.hint.startswith("Is nosuch in the image?")
