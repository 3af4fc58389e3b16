"""Nix in a container: where a machine forbids user namespaces and lets containers be run.

cog-nix does everything as always; only Nix's programs, and what runs commands, are started inside.

``image``
    makes the image that they run in, from Debian packages, with no registry and nothing to run;
``server``
    is the container's first process: it starts programs for the owner, and ends with it;
``client``
    stands for a program on this side: it hands its arguments and open files to the server;
``worker``
    keeps one container for the length of a command.
"""
