"""Which calls of Python's libraries start programs, and where they are told which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Call:
    """How a function takes a command.

    ``command``: a list of words, or a text, which is a shell's where ``shell`` says so and otherwise the name
    of a program; ``either``: the same, and a text is always a shell's; ``split``: a text that is split into
    words; ``shell``: a shell's text; ``program``: a program's name, looked for in ``PATH``; ``path``: the
    path of one.
    """

    how: str
    position: int = 0
    """Of the argument."""
    name: str = ""
    """Of the argument, where it may be named."""


def _each(names: str, call: Call) -> dict[str, Call]:
    return dict.fromkeys(names.split(), call)


CALLS: Mapping[str, Call] = {
    **_each(
        "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen"
        " psutil.Popen",
        Call("command", 0, "args"),
    ),
    **_each("subprocess.getoutput subprocess.getstatusoutput", Call("shell", 0, "cmd")),
    **_each("os.system", Call("shell", 0, "command")),
    **_each("os.popen", Call("shell", 0, "cmd")),
    **_each("os.execlp os.execlpe os.execvp os.execvpe os.posix_spawnp", Call("program", 0, "file")),
    **_each("os.execl os.execle os.execv os.execve os.posix_spawn", Call("path", 0, "path")),
    **_each("os.spawnlp os.spawnlpe os.spawnvp os.spawnvpe", Call("program", 1, "file")),
    **_each("os.spawnl os.spawnle os.spawnv os.spawnve", Call("path", 1, "path")),
    **_each("asyncio.create_subprocess_exec", Call("program", 0, "program")),
    **_each("asyncio.create_subprocess_shell", Call("shell", 0, "cmd")),
    **_each("anyio.run_process anyio.open_process", Call("either", 0, "command")),
    **_each("shutil.which", Call("program", 0, "cmd")),
    **_each("distutils.spawn.find_executable", Call("program", 0, "executable")),
    **_each("pexpect.spawn pexpect.run", Call("split", 0, "command")),
    **_each("pty.spawn", Call("command", 0, "argv")),
}
"""By the function's full name; from the libraries' documentation."""
