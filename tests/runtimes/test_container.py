"""What a container of the daemonless runtime sees, and how it ends, under each engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ImageError, RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle import rootfs, seccomp
from cog_nix_hooks.bundle.container import BundleContainer
from cog_nix_hooks.bundle.process import describe
from cog_nix_hooks.bundle.programs import ENGINES
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.hooks.docker.conftest import Store

from .conftest import LOOP, usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import Container

    Finished = Callable[[Container], tuple[int, str]]

pytestmark = pytest.mark.slow  # starts containers

ROOT = Path(__file__).parents[2]
REQUEST = ContainerRequest("shell")
CAPABILITIES = "00000000a00405fb"
"""Docker's without ``MKNOD`` and ``NET_RAW``."""


def script(text: str, **changes: object) -> ContainerRequest:
    return replace(REQUEST, command=("sh", "-c", text), **changes)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def containers(runtime: BundleRuntime) -> list[Path]:
    return list((runtime._store.root / "containers").iterdir())


def test_status_and_output(runtime: BundleRuntime, finished: Finished) -> None:
    status, output = finished(runtime.start(script("echo out; echo err >&2; exit 5")))
    assert (status, sorted(output.splitlines())) == (5, ["err", "out"])  # runc copies each by itself
    assert containers(runtime) == []


def test_environment_and_folder(runtime: BundleRuntime, finished: Finished) -> None:
    request = script('echo "$A $B $HOME $PWD"; ls', env={"B": "request with = and \n"})
    assert finished(runtime.start(request))[1] == "image request with = and \n /root /src\nhere\n"


def test_an_entrypoint_and_a_folder_of_the_request(runtime: BundleRuntime, finished: Finished) -> None:
    request = ContainerRequest("shell", entrypoint=("sh", "-c", "echo $PWD"), workdir="/etc")
    assert finished(runtime.start(request)) == (0, "/etc\n")


def test_isolation(runtime: BundleRuntime, finished: Finished) -> None:
    """Its processes, host name and shared memory are its own; it is root and can write, only to itself."""
    text = (
        "echo $$; hostname; df -k /dev/shm | cat; id -u; touch /new /src/new; ls /proc/sys/kernel >/dev/null"
    )
    _, output = finished(runtime.start(script(text)))
    pid, name, _, shared, uid = output.splitlines()[:5]
    assert (pid, uid) == ("1", "0")
    assert name.startswith("cog-nix-")
    assert shared.split()[1] == str(6 << 20)
    assert finished(runtime.start(script("ls /new /src/new 2>/dev/null; echo none")))[1] == "none\n"


def test_it_may_do_what_docker_lets_it_do(runtime: BundleRuntime, finished: Finished) -> None:
    """Docker's capabilities and no more; a system call filter, which refuses what needs no capability too."""
    text = "cat /proc/self/status; unshare --user true; mount -t tmpfs none /src; echo $?"
    _, output = finished(runtime.start(script(text)))
    status = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert (status["CapEff"], status["CapPrm"], status["Seccomp"]) == (*[CAPABILITIES] * 2, "2")
    assert "unshare failed: Operation not permitted" in output
    assert output.splitlines()[-1] != "0"


def test_a_compiled_filter_needs_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seccomp.write_program(tmp_path / "filter")
    assert (tmp_path / "filter").stat().st_size % 8 == 0  # struct sock_filter
    monkeypatch.setattr(seccomp, "_LIBRARY", "libnothing.so.0")
    assert not seccomp.write_program(tmp_path / "other")


def test_mounts(runtime: BundleRuntime, finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/in").write_text("from outside\n")
    request = script("cat /data/in; echo inside > /data/out", mounts=((tmp_path / "shared", "/data"),))
    assert finished(runtime.start(request)) == (0, "from outside\n")
    assert (tmp_path / "shared/out").read_text() == "inside\n"


def test_the_image_names_a_port_of_loopback(
    shell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cog_nix_hooks.bundle.process.has_program", lambda *_: True)
    runtime = BundleRuntime(tmp_path)
    runtime.load(shell, ["shell"], SilentReporter())
    image = runtime._store.find("shell")
    assert image is not None
    server = replace(REQUEST, command=("python", "-m", "cog.server.http"))
    asked = describe(image, replace(server, port=8765), [], "name")
    assert asked.args[-2:] == ("--host", "127.0.0.1")
    assert (asked.env["PORT"], asked.port) == ("8765", 8765)
    open_to_all = describe(image, replace(server, publish=(("0.0.0.0", 99, 5000),)), [], "name")  # noqa: S104
    assert (open_to_all.args[-1], open_to_all.env["PORT"]) == ("0.0.0.0", "99")  # noqa: S104
    assert describe(image, replace(server, env={"PORT": "5005"}), [], "name").port == 5005
    wrapped = describe(image, replace(REQUEST, port=8765, command=("sh", "-c", "a server")), [], "name")
    assert (wrapped.args[-1], wrapped.env["PORT"]) == ("a server", "8765")
    assert "PORT" not in describe(image, replace(REQUEST, interactive=True), [], "name").env
    with pytest.raises(RuntimeFailure, match="port 80 cannot be published as 8080"):
        describe(image, replace(server, publish=(("", 8080, 80),)), [], "name")


def test_a_signal_reaches_the_main_process(runtime: BundleRuntime) -> None:
    lines: list[str] = []
    with runtime.start(REQUEST) as container:
        container.follow_logs(lines.append)
        assert wait_for(lambda: lines == ["up"])
        assert container.alive()
        with pytest.raises(RuntimeFailure, match="still runs"):
            container.wait(0.01)
        container.signal("SIGTERM")
        assert container.wait(20) == 7
        assert not container.alive()
        assert container.logs() == "up\nbye\n"
        with pytest.raises(RuntimeFailure, match="does not run"):
            container.signal("SIGTERM")
    assert lines == ["up", "bye"]


def test_leaving_stops_it_and_hands_on_its_last_words(runtime: BundleRuntime) -> None:
    lines: list[str] = []
    with runtime.start(REQUEST) as container:
        container.follow_logs(lines.append)
        assert wait_for(lambda: lines)
    assert lines == ["up", "bye"]
    assert containers(runtime) == []


def test_one_that_does_not_listen_is_killed(runtime: BundleRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cog_nix_hooks.bundle.container._STOP_SECONDS", 0.2)
    with runtime.start(script("trap '' TERM; echo up; while :; do sleep 0.05; done")) as container:
        assert wait_for(container.logs)
    assert not container.alive()


def test_it_dies_with_its_owner_and_the_next_start_tidies_up(
    runtime: BundleRuntime, tmp_path: Path, finished: Finished
) -> None:
    mark = tmp_path / "mark"
    mark.mkdir()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cog_nix_hooks.bundle.runtime import BundleRuntime\n"
        "from cog_nix.plugins.spec import ContainerRequest\n"
        "runtime = BundleRuntime(Path(sys.argv[1]), engine=sys.argv[2])\n"
        "command = ('sh', '-c', 'while :; do touch /mark/beat; sleep 0.02; done')\n"
        "runtime.start(ContainerRequest('shell', command=command, mounts=((Path(sys.argv[3]), '/mark'),)))\n"
        "time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'hooks'}"}
    arguments = [sys.executable, "-c", code, str(runtime._store.root), str(runtime._named_engine), str(mark)]
    with subprocess.Popen(arguments, env=env) as owner:
        assert wait_for((mark / "beat").exists)
        owner.kill()

    def silent() -> bool:
        (mark / "beat").unlink(missing_ok=True)
        time.sleep(0.3)
        return not (mark / "beat").exists()

    assert wait_for(silent)
    assert len(containers(runtime)) == 1
    assert finished(runtime.start(script("exit 0")))[0] == 0
    assert containers(runtime) == []


def test_sigterm_to_the_owner_removes_it(runtime: BundleRuntime) -> None:
    previous = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, runtime.start(REQUEST):
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert containers(runtime) == []
    assert signal.getsignal(signal.SIGTERM) == previous


def test_secrets_are_in_no_command_line(runtime: BundleRuntime) -> None:
    with runtime.start(replace(REQUEST, env={"TOKEN": "r8_very_secret"})) as container:
        assert wait_for(container.logs)
        shown = subprocess.run(
            ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout
        assert LOOP in shown
        assert "r8_very_secret" not in shown


def test_layers_of_a_running_container_stay(
    runtime: BundleRuntime, tmp_path: Path, base: dict[str, bytes]
) -> None:
    other = Store(tmp_path / "made").build(base, {"src/other": b""}, Cmd=["sh"])
    with runtime.start(REQUEST) as container:
        assert wait_for(container.logs)
        runtime.load(other.program, ["shell"], SilentReporter())
        assert len(list((runtime._store.root / "layers").iterdir())) == 3
    runtime.load(Store(tmp_path / "last").build(base).program, ["shell"], SilentReporter())
    assert len(list((runtime._store.root / "layers").iterdir())) == 1


def test_images_that_are_not_there(runtime: BundleRuntime) -> None:
    with pytest.raises(RuntimeFailure, match="no image nothing"):
        runtime.start(ContainerRequest("nothing"))
    with pytest.raises(ImageError, match="failed to pull image NOTHING: "):
        runtime.pull("NOTHING", SilentReporter())
    with pytest.raises(ImageError, match="holds no image"):
        runtime.image_labels("nothing")
    assert runtime.image_id("nothing") is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["overlay", "fuse", "copy"])
def test_layers_look_the_same_however_they_are_joined(
    way: str, engine: str, tmp_path: Path, base: dict[str, bytes], finished: Finished
) -> None:
    if way == "fuse" and not shutil.which("fuse-overlayfs"):
        pytest.skip("fuse-overlayfs is not installed")
    lower = {"d/gone": b"1", "d/kept": b"2", "d/new": b"old", "opaque/old": b"", "folder/a/b": b"", "e": b"5"}
    upper = {"d/.wh.gone": b"", "d/new": b"3", "opaque/.wh..wh..opq": b"", "opaque/x": b"", ".wh.folder": b""}
    image = Store(tmp_path / "made").build(
        base, lower, upper, {"folder/c": b""}, Env=["PATH=/bin"], Cmd=["sh"]
    )
    runtime = BundleRuntime(tmp_path / "bundle", engine=usable(engine), method=way)
    runtime.load(image.program, ["layers"], SilentReporter())
    text = "cd /; ls d opaque folder; cat d/new e; rm e d/kept; echo changed > d/new; ls d"
    request = ContainerRequest("layers", command=("sh", "-c", text))
    expected = "d:\nkept\nnew\n\nfolder:\nc\n\nopaque:\nx\n35new\n"
    for _ in range(2):  # what the first one changed, the second does not see
        assert finished(runtime.start(request)) == (0, expected)
    with runtime.start(replace(request, command=("sh", "-c", LOOP))) as container:
        assert wait_for(container.logs)
        container.signal("SIGTERM")
        assert container.wait(20) == 7


def test_overlayfs_is_chosen_where_it_works(tmp_path: Path) -> None:
    assert rootfs.choose(tmp_path, rootfs.Isolation()) == "overlay"
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_mounts_layers_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "_SCRIPTS", {**rootfs._SCRIPTS, "overlay": "exit 1", "fuse": "exit 1"})
    assert rootfs.choose(tmp_path, rootfs.Isolation()) == "copy"


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        pytest.param("ada", "7 8 /home/ada", id="name"),
        pytest.param("7", "7 8 /home/ada", id="number-with-an-entry"),
        pytest.param("12:13", "12 13 /", id="numbers"),
        pytest.param("ada:staff", "7 50 /home/ada", id="group"),
    ],
)
@pytest.mark.root
def test_users(user: str, seen: str, tmp_path: Path, base: dict[str, bytes], finished: Finished) -> None:
    runtime = BundleRuntime(tmp_path / "bundle", engine=usable("runc"))
    image = Store(tmp_path / "made").build(base, Env=["PATH=/bin"], User=user, Cmd=["sh"])
    runtime.load(image.program, ["users"], SilentReporter())
    request = ContainerRequest("users", command=("sh", "-c", 'echo "$(id -u) $(id -g) $HOME"'))
    assert finished(runtime.start(request)) == (0, f"{seen}\n")


@pytest.mark.parametrize("user", ["nobody-here", "0:nobody-here"])
def test_unknown_users(user: str, tmp_path: Path, base: dict[str, bytes]) -> None:
    runtime = BundleRuntime(tmp_path / "bundle")
    image = Store(tmp_path / "made").build(base, User=user, Cmd=["sh"])
    runtime.load(image.program, ["users"], SilentReporter())
    with pytest.raises(RuntimeFailure, match="nobody-here"):
        runtime.start(ContainerRequest("users"))
    assert containers(runtime) == []


def test_a_command_beside_the_main_process_has_its_rights(runtime: BundleRuntime) -> None:
    with runtime.start(replace(REQUEST, env={"A": "request", "LD_LIBRARY_PATH": "/none"})) as container:
        assert wait_for(container.logs)
        text = (
            'echo "$A $PWD"; cat /proc/self/status; mount -t tmpfs none /src || unshare --user true; exit 3'
        )
        status, output = container.run(["sh", "-c", text])
        shown = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
        assert (status, output.splitlines()[0]) == (3, "request /src")
        assert {shown[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {CAPABILITIES}
        assert (shown["Seccomp"], shown["NoNewPrivs"], shown["CapInh"]) == ("2", "1", f"{0:016x}")
        assert "unshare failed: Operation not permitted" in output
        assert container.run(["cat", "/proc/1/comm"]) == (0, "sh\n")
        assert container.run(["no-such-program"]) == (127, "no-such-program: No such file or directory\n")
        assert container.run(["sh", "-c", "kill -TERM $$"])[0] == 128 + signal.SIGTERM
    with pytest.raises(RuntimeFailure, match="does not run"):
        container.run(["true"])


def test_what_is_just_being_started_is_killed_with_who_starts_it() -> None:
    """A child of ``unshare`` that has not asked yet for a signal at its parent's death would stay."""
    starter = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout
        child = int(starter.stdout.readline())
        container = BundleContainer.__new__(BundleContainer)
        container._process = starter
        container._kill()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("it is still there")
