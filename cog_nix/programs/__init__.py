"""Programs that a project's source starts, read from it without running it. See docs/design/programs.md."""
