"""Streams of containers in each runtime: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest, InteractiveContainer, Streams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.plugins.spec import Runtime

pytestmark = pytest.mark.slow  # starts containers


IMAGE = "cog-nix-test-streams"


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
        try:
            yield Streams(None if self.given is None else stdin, stdout, stderr)
        finally:  # else what reads would keep a failed run of tests from ending
            os.close(stdout)
            os.close(stderr)
            os.close(stdin)
            for thread in threads:
                thread.join(10)


def converse(anywhere: Runtime, request: ContainerRequest, given: bytes | None) -> tuple[int, bytes, bytes]:
    ends = Ends(given)
    with ends.streams() as streams, anywhere.start(request) as container:
        assert isinstance(container, InteractiveContainer)
        status = container.attach(streams)
    return status, ends.out, ends.err


def shell(script: str, *, stdin: bool = True, tty: bool = False, **more: object) -> ContainerRequest:
    command = ("sh", "-c", script)
    return ContainerRequest(IMAGE, command=command, interactive=True, stdin=stdin, tty=tty, **more)  # type: ignore[arg-type]


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
    anywhere: Runtime,
    script: str,
    given: bytes | None,
    answer: tuple[int, bytes, bytes],
) -> None:
    request = shell(script, stdin=given is not None)
    assert converse(anywhere, request, given) == answer


def test_a_terminal_has_one_stream_and_a_size(anywhere: Runtime) -> None:
    request = shell("test -t 0 && test -t 1 && echo terminal; echo x >&2", tty=True)
    assert converse(anywhere, request, b"") == (0, b"terminal\r\nx\r\n", b"")
    with anywhere.start(shell("sleep 60", tty=True)) as container:
        assert isinstance(container, InteractiveContainer)
        container.resize(33, 77)
    container.resize(1, 1)  # it is gone: nothing to tell


@contextmanager
def talking(anywhere: Runtime, script: str) -> Iterator[tuple[InteractiveContainer, int, int, list[int]]]:
    """Attach to a shell with a terminal; yield it, pipes from and to it, and what gets its status."""
    (stdin, feed), (out, stdout) = os.pipe(), os.pipe()
    status: list[int] = []
    try:
        with anywhere.start(shell(script, tty=True)) as container:
            assert isinstance(container, InteractiveContainer)
            attached = partial(container.attach, Streams(stdin, stdout, stdout))
            thread = threading.Thread(target=lambda: status.append(attached()))
            thread.start()
            yield container, out, feed, status
            thread.join(20)
    finally:
        for descriptor in (stdin, feed, out, stdout):
            os.close(descriptor)


def until(out: int, sign: bytes) -> bytes:
    """Read until ``sign`` has come."""
    seen = b""
    while sign not in seen and select.select([out], [], [], 20)[0]:
        seen += os.read(out, 1 << 16)
    assert sign in seen
    return seen


def test_a_terminal_has_its_size_when_its_program_starts(anywhere: Runtime) -> None:
    # Docker before API 1.42 and Podman 4 give it right after the start, so the program looks again.
    looks = 100 if anywhere.name in ("docker", "podman") else 1
    look = 'size=$(stty size); [ "$size" = "0 0" ] || break; sleep 0.05'
    script = f"left={looks}; while [ $left -gt 0 ]; do {look}; left=$((left-1)); done; echo $size"
    assert converse(anywhere, shell(script, tty=True, size=(33, 77)), b"") == (0, b"33 77\r\n", b"")


def test_a_terminal_follows_the_size_of_ours(anywhere: Runtime) -> None:
    with talking(anywhere, "echo up; while read word; do stty size; done") as (container, out, feed, status):
        until(out, b"up\r\n")
        container.resize(33, 77)
        for _ in range(50):  # an engine may take its time to hand it on
            os.write(feed, b"again\n")
            if b"33 77" in until(out, b"\r\n"):
                break
            time.sleep(0.1)
        else:
            pytest.fail("its size never changed")
        os.write(feed, b"\x04")
    assert status == [0]


def test_keys_that_are_signals_go_to_the_program_in_the_terminal(anywhere: Runtime) -> None:
    with talking(anywhere, "trap 'echo caught; exit 5' INT; echo up; read word") as (_, out, feed, status):
        until(out, b"up\r")  # the machine's terminal may not be raw yet
        os.write(feed, b"\x03")
        until(out, b"caught\r\n")
    assert status == [5]


def test_a_signal_without_a_terminal(anywhere: Runtime) -> None:
    request = shell("trap 'exit 6' INT; echo up; while :; do sleep 0.05; done", stdin=False)
    (out, stdout), status = os.pipe(), []
    with anywhere.start(request) as container:
        assert isinstance(container, InteractiveContainer)
        attached = partial(container.attach, Streams(None, stdout, stdout))
        thread = threading.Thread(target=lambda: status.append(attached()))
        thread.start()
        until(out, b"up\n")
        container.signal("SIGINT")
        thread.join(20)
    os.close(out)
    os.close(stdout)
    assert status == [6]


def test_this_machine_has_a_name(anywhere: Runtime) -> None:
    status, out, _ = converse(anywhere, shell("cat /etc/hosts", reach_host=True), b"")
    (line,) = (line.split() for line in out.decode().splitlines() if "host.docker.internal" in line)
    assert (status, ipaddress.ip_address(line[0]).version) == (0, 4)


def test_much_output_arrives_whole(anywhere: Runtime) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
    status, out, _ = converse(anywhere, shell(script), b"")
    assert (status, out) == (0, b"".join(b"line %d\n" % number for number in range(20000)))


def test_ports_folder_and_entrypoint(anywhere: Runtime, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    request = shell(
        "pwd; echo $0 $1; read a",
        publish=(("127.0.0.1", port, 5000),),
        workdir="/mnt",
        mounts=((tmp_path, "/mnt"),),
        reach_host=True,
    )
    with anywhere.start(request) as container:
        assert container.url == f"http://127.0.0.1:{port}"
    entry = ContainerRequest(
        IMAGE, command=("there",), entrypoint=("sh", "-c", "echo hi $0"), interactive=True, stdin=True
    )
    assert converse(anywhere, entry, b"") == (0, b"hi there\n", b"")


def test_nothing_is_published_unasked(anywhere: Runtime) -> None:
    with (
        anywhere.start(shell("read a")) as container,
        pytest.raises(RuntimeFailure, match="does not publish port 5000"),
    ):
        container.url  # noqa: B018 - a property that raises


def test_only_an_interactive_container_has_streams(anywhere: Runtime) -> None:
    with anywhere.start(ContainerRequest(IMAGE)) as container:
        assert isinstance(container, InteractiveContainer)
        with pytest.raises(RuntimeFailure, match="not started as an interactive one"):
            container.attach(Streams(None, 1, 2))


@pytest.mark.parametrize("program", ["nosuch", "/no/such", "./nosuch"])
def test_a_program_that_is_not_there(anywhere: Runtime, program: str) -> None:
    with pytest.raises(RuntimeFailure, match="Failed to start container") as caught:
        anywhere.start(ContainerRequest(IMAGE, command=(program,), interactive=True))
    assert caught.value.hint.startswith(f"Is {program} in the image?")


def test_a_port_that_is_taken(anywhere: Runtime) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with pytest.raises(RuntimeFailure, match="Failed to start container") as caught:
            anywhere.start(shell("read a", publish=(("127.0.0.1", port, port),)))
    assert caught.value.hint == "Choose another port."
