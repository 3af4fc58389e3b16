"""A registry on loopback that wants a password."""

from __future__ import annotations

from tests.registry.conftest import locked_registry, start_registry  # noqa: F401 - fixtures
