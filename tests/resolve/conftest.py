"""What locks are made of, small."""

from tests.lock.conftest import deb, lock, wheel  # noqa: F401 - fixtures
