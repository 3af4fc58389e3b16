"""The two sandboxes, one for derivations and one beside Nix, show the same."""

from __future__ import annotations

import confinement
import pytest
import seed

from cog_nix.namespaces import host, sandbox


@pytest.mark.parametrize("name", ["_DEVICES", "_LINKS"])
def test_programs_see_the_same_devices_in_derivations_and_beside_nix(name: str) -> None:
    assert getattr(sandbox, name) == getattr(confinement, name)


def test_this_machines_python_is_shown_the_same_by_what_unpacks_the_seed() -> None:
    assert host._SYSTEM == seed._SYSTEM
