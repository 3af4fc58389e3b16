"""What programs and libraries ask the dynamic loader for: ELF files in wheels, folders and layers.

:func:`~cog_nix.elf.wheel.scan_wheel`, :func:`~cog_nix.elf.folder.scan_project` and
:func:`~cog_nix.elf.folder.scan_fragment` each return a :class:`~cog_nix.elf.scan.Scan`. See
docs/design/libraries.md.
"""
