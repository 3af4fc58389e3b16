"""Devices of this machine in containers: what ``--gpus`` means, and what a container needs to have it.

The story is :func:`cog_nix.cdi.find.find_devices`: a request becomes :class:`cog_nix.cdi.model.Edits`, taken
from specifications of the Container Device Interface (CNCF, 0.3 to 1.1) or, where there is none, from what
the driver has on this machine. Runtimes apply them: :mod:`cog_nix.cdi.oci` to a runtime configuration,
:mod:`cog_nix.cdi.place` to a root file system or an archive.
"""
