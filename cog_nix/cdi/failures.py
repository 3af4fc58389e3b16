"""Errors that a runtime plugin raises and the core reacts to."""

from __future__ import annotations

from cog_nix.errors import RuntimeFailure


class MissingDeviceDriverError(RuntimeFailure):
    """There is no driver for the GPUs that were asked for, or the daemon has none."""
