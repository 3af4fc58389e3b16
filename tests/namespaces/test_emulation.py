"""Whether programs of another processor run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.elf import nothing
from cog_nix.namespaces import emulation
from cog_nix.namespaces.emulation import NoEmulatorError
from cog_nix.system.platforms import AMD64, ARM64, host_platform
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.system.platforms import Platform

_ENTRY = """\
enabled
interpreter /usr/bin/qemu-aarch64-static
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """What the kernel has, and what packages have; empty."""
    registered, configured = tmp_path / "registered", tmp_path / "binfmt.d"
    registered.mkdir()
    configured.mkdir()
    monkeypatch.setattr(emulation, "_REGISTERED", registered)
    monkeypatch.setattr(emulation, "_CONFIGURATION", configured)
    monkeypatch.setattr(emulation, "_runs", lambda _: True)
    return registered, configured


def _other() -> None:
    emulation.check(ARM64 if host_platform() == AMD64 else AMD64)


def test_the_program_that_is_tried_runs_on_its_own_processor(tmp_path: Path) -> None:
    host = host_platform()
    assert host
    nothing.write(tmp_path, host.elf_machine)
    assert run([str(tmp_path / nothing.NAME)], check=False).returncode == 0


def test_this_machine_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "_runs", lambda _: False)
    host = host_platform()
    assert host
    emulation.check(host)


@pytest.mark.skipif(host_platform() != AMD64, reason="is about arm64 elsewhere")
@pytest.mark.parametrize(
    ("flags", "file", "told"),
    [
        (None, None, "sudo apt-get install qemu-user-static binfmt-support"),
        (None, "qemu-aarch64.conf", "sudo sh -c 'mount -t binfmt_misc binfmt_misc"),
        ("PO", None, "without the flag F"),
    ],
    ids=["not-installed", "not-registered", "without-F"],
)
def test_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, places: tuple[Path, Path], flags: str | None, file: str | None, told: str
) -> None:
    if flags:
        (places[0] / "qemu-aarch64").write_text(_ENTRY.format(flags=flags))
    else:
        monkeypatch.setattr(emulation, "_runs", lambda _: False)
    if file:
        (places[1] / file).write_text("")
    with pytest.raises(NoEmulatorError) as caught:
        _other()
    message = caught.value.shown()
    assert "This machine does not run programs for linux/arm64: " in message
    assert told in message


def test_one_that_counts_everywhere(places: tuple[Path, Path]) -> None:
    (places[0] / "qemu-aarch64").write_text(_ENTRY.format(flags="POF"))
    (places[0] / "status").write_text("enabled\n")
    _other()


def test_another_processors_emulator_does_not_count(places: tuple[Path, Path]) -> None:
    entry = _ENTRY.format(flags="").replace("b700", "f300")
    (places[0] / "qemu-riscv64").write_text(entry)
    _other()


_WITHOUT = """
Or make an image for this machine:  cog-nix build --platform linux/arm64
and for good, in cog-nix.toml:  [image] platforms = ["linux/arm64"]"""


@pytest.mark.parametrize(
    ("here", "other", "way_out"),
    [
        (ARM64, AMD64, _WITHOUT),
        (AMD64, ARM64, ""),
    ],
    ids=["on-arm64", "on-amd64"],
)
def test_a_machine_for_another_platform_than_the_usual_one_is_told_how_to_do_without(
    monkeypatch: pytest.MonkeyPatch, here: Platform, other: Platform, way_out: str
) -> None:
    monkeypatch.setattr(emulation, "_runs", lambda _: False)
    monkeypatch.setattr(emulation, "host_platform", lambda: here)
    with pytest.raises(NoEmulatorError) as caught:
        emulation.check(other)
    install = "sudo apt-get install qemu-user-static binfmt-support"
    assert caught.value.hint.partition(install)[2] == way_out
