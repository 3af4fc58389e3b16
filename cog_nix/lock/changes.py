"""What changed from one lock to the next, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.lock.upgrade import INTERPRETER

if TYPE_CHECKING:
    from cog_nix.lock.model import Lock


def changes(previous: Lock | None, new: Lock) -> list[str]:
    """Return a line for each package that came, went or moved; one summary line for a first lock."""
    packages = _packages(new)
    if previous is None:
        builds = f", and {new.toolkit.name} for builds" if new.toolkit else ""
        return [f"Locked {len(new.debs)} Debian packages and {len(new.wheels)} Python packages{builds}"]
    old = _packages(previous)
    lines = [f"added    {name} {version}" for name, version in packages.items() if name not in old]
    lines += [f"removed  {name} {version}" for name, version in old.items() if name not in packages]
    lines += [
        f"changed  {name} {old[name]} -> {version}"
        for name, version in packages.items()
        if old.get(name, version) != version
    ]
    return sorted(lines)


def _packages(lock: Lock) -> dict[str, str]:
    debs = {deb.package: deb.version for deb in lock.debs}
    if lock.interpreter.artifact:  # otherwise it is one of the packages
        debs[INTERPRETER] = lock.interpreter.version
    wheels = {f"{wheel.name} (Python)": wheel.version for wheel in lock.wheels}
    files = {file.path: f"sha256:{file.sha256[:12]}" for file in lock.files}
    return debs | wheels | files | _for_builds(lock)


def _for_builds(lock: Lock) -> dict[str, str]:
    """Return what the compiler for GPUs is made of, apart from what the image has of the same name."""
    if lock.toolkit is None:
        return {}
    found = {deb.package: deb.version for deb in lock.toolkit.debs}
    found |= {wheel.name: wheel.version for wheel in lock.toolkit.wheels}
    return {f"{name} ({lock.toolkit.name} for builds)": version for name, version in found.items()}
