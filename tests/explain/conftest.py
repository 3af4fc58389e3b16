from __future__ import annotations

from tests.compare.conftest import hello, locked
from tests.registry.conftest import registry, start_registry

__all__ = ["hello", "locked", "registry", "start_registry"]
