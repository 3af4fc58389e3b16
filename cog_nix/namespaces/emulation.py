"""Whether this machine runs programs of another processor: what builds for other platforms need.

The kernel hands such programs to an emulator that somebody has registered with it (binfmt_misc, in the
kernel's administrator's guide), as qemu's for single programs is (qemu-user). It is registered with the flag
F, so that it is open already and counts where its file is out of sight: in the roots of builds and of
containers.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.elf import nothing
from cog_nix.errors import NixError
from cog_nix.system import scratch
from cog_nix.system.platforms import host_platform
from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.system.platforms import Platform

_REGISTERED = Path("/proc/sys/fs/binfmt_misc")
_CONFIGURATION = Path("/usr/lib/binfmt.d")
"""Where packages have what is to be registered (binfmt.d(5))."""
_MACHINE = slice(36, 40)
"""Where ``e_machine`` is in an ELF header, in hexadecimal digits (elf(5))."""


class NoEmulatorError(NixError):
    """This machine does not run the programs of a platform.

    Args:
        platform: its name.
        reason: why not, where that is known.
        hint: what to do next.
    """

    def __init__(self, platform: str, reason: str = "", *, hint: str) -> None:
        super().__init__(hint=hint)
        self.platform, self.reason = platform, reason

    def __str__(self) -> str:
        why = self.reason or "the kernel has no emulator for them (binfmt_misc)"
        return f"This machine does not run programs for {self.platform}: {why}."


def check(platform: Platform) -> None:
    """Refuse a platform whose programs this machine does not run.

    Args:
        platform: what is to be run.

    Raises:
        NoEmulatorError: there is no emulator, or one that counts only where its file is in sight.
    """
    if platform == host_platform():
        return
    if not _runs(platform.elf_machine):
        raise NoEmulatorError(platform.name, hint=f"{_advice(platform)}{_for_here()}")
    if _is_bound(platform.elf_machine):
        raise NoEmulatorError(
            platform.name,
            reason="an emulator is registered, but without the flag F, so it is out of reach in a sandbox",
            hint="Register it with that flag: binfmt.d(5), or Debian's qemu-user-static, which does.",
        )


@cache
def _runs(machine: int) -> bool:
    """Try a program that does nothing."""
    with scratch.folder("emulation") as folder:
        nothing.write(folder, machine)
        try:
            return run([str(folder / nothing.NAME)], check=False).returncode == 0
        except (ProcessError, OSError):
            return False


def _is_bound(machine: int) -> bool:
    """Tell whether what is registered for a processor is looked up by its path; not known: it is not."""
    flags = list(_flags(machine))
    return bool(flags) and not any("F" in one for one in flags)


def _flags(machine: int) -> Iterator[str]:
    """Yield the flags of each emulator that is registered for a processor."""
    try:
        for path in _REGISTERED.iterdir():
            if path.name in ("register", "status"):
                continue
            pairs = (line.replace(":", "").partition(" ") for line in path.read_text().splitlines())
            words = {name: value for name, _, value in pairs}
            if words.get("magic", "")[_MACHINE] == machine.to_bytes(2, "little").hex():
                yield words.get("flags", "")
    except OSError:  # it is not mounted, or not for everybody
        return


def _for_here() -> str:
    """Return how to do without: an image for this machine itself."""
    here = host_platform()
    if here is None or here.is_usual:
        return ""
    return (
        f"\nOr make an image for this machine:  cog-nix build --platform {here}\n"
        f'and for good, in cog-nix.toml:  [image] platforms = ["{here}"]'
    )


def _advice(platform: Platform) -> str:
    """Return the one command that helps."""
    machine = platform.triplet.partition("-")[0]
    ready = next(_CONFIGURATION.glob(f"qemu-{machine}*.conf"), None) if _CONFIGURATION.is_dir() else None
    if ready is None:
        command = "sudo apt-get install qemu-user-static binfmt-support"
        return f"Install one and have it registered; in Debian and Ubuntu:\n  {command}"
    mounted = (_REGISTERED / "register").exists()
    mount = "" if mounted else f"mount -t binfmt_misc binfmt_misc {_REGISTERED} && "
    command = f"sudo sh -c '{mount}cat {ready} > {_REGISTERED}/register'"
    return f"qemu is installed and not registered with the kernel. Register it:\n  {command}"
