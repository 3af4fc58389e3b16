"""Run a builder: ``python -m start NAME`` calls ``main`` of the module with what the derivation tells it."""

from __future__ import annotations

import importlib
import sys

import failure
import inputs


def main() -> None:
    """Build the outputs."""
    builder = importlib.import_module(sys.argv[1])
    with failure.shown():
        builder.main(inputs.read())


if __name__ == "__main__":
    main()
