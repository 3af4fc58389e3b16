"""The bill of materials and the provenance of a project's image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args

from cog_nix import config as cog_config
from cog_nix.bom import contents, cyclonedx, spdx
from cog_nix.bom.collect import Sources, collect
from cog_nix.bom.provenance import Origin
from cog_nix.build.configuration import asked_of
from cog_nix.errors import NoLockError
from cog_nix.image.description import name_in_store
from cog_nix.lock import format as lock_format
from cog_nix.lock.explain import all_reasons
from cog_nix.project import git
from cog_nix.system.digests import digest_of
from cog_nix.system.files import write_atomically
from cog_nix.system.state import make_folder
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.bom.model import Bill, Document
    from cog_nix.build.options import Built
    from cog_nix.config.model import Project
    from cog_nix.image.description import ImageDescription
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins

Format = Literal["spdx", "cyclonedx"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {"spdx": spdx.MEDIA_TYPE, "cyclonedx": cyclonedx.MEDIA_TYPE}
FILES: dict[Format, str] = {"spdx": "sbom.spdx.json", "cyclonedx": "sbom.cdx.json"}
_FOLDER = "sbom"
_REVISION = "org.opencontainers.image.revision"


def rendered(kind: Format, bill: Bill, documents: Sequence[Document]) -> dict[str, Any]:
    """Return a bill in a format."""
    return spdx.render(bill, documents) if kind == "spdx" else cyclonedx.render(bill, documents)


def bill_of(project: Project, built: Built, plugins: Plugins) -> tuple[Bill, tuple[Document, ...]]:
    """Return what is in an image that was built, and the bills that its packages bring.

    Args:
        project: whose.
        built: the image; it is named in the bill.
        plugins: know what every image has.

    Raises:
        CogNixError: the lock or the image cannot be read.
    """
    return described(project, built.image, built.tag, plugins, image_id=built.image.id)


def described(
    project: Project, image: ImageDescription, tag: str, plugins: Plugins, *, image_id: str = ""
) -> tuple[Bill, tuple[Document, ...]]:
    """Return what is in an image.

    Args:
        project: whose.
        image: in a store.
        tag: its reference.
        plugins: know what every image has.
        image_id: names the image in the bill; "": the bill is to be part of it.

    Raises:
        CogNixError: the lock or the image cannot be read.
    """
    lock = _lock(project)
    config = cog_config.load_config(project)
    weights = weights_lock.of_config(project.root, config)
    sources = Sources(
        name=name_in_store(tag),
        lock=lock,
        lock_digest=digest_of(project.lock_path.read_bytes()),
        contents=contents.read(image, plugins.describe_database()),
        reasons=all_reasons(lock, asked_of(project, lock, plugins)),
        managed=[(one.name, one.set_digest, one.size) for one in weights],
        image=image_id,
    )
    return collect(sources)


def write_bill(project: Project, image: ImageDescription, tag: str, plugins: Plugins) -> str:
    """Write what is in an image to a folder of the project's, from where it comes into the image.

    Returns:
        The folder.

    Raises:
        CogNixError: the lock or the image cannot be read.
    """
    found = described(project, image, tag, plugins)
    folder = project.state_dir / _FOLDER
    make_folder(folder)
    for kind in FORMATS:
        text = json.dumps(rendered(kind, *found), indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(folder / FILES[kind], text.encode())
    return str(folder)


def origin_of(project: Project) -> Origin:
    """Return what a project's image is built from.

    Raises:
        LockError: there is no lock.
    """
    files = (project.lock_path, project.config_path, project.settings_path)
    labels = git.labels(project.root)
    return Origin(
        files={path.relative_to(project.root).as_posix(): path for path in files if path.is_file()},
        lock=_lock(project),
        repository=git.remote(project.root),
        revision=labels.get(_REVISION, ""),
        dirty=bool(labels.get(_REVISION)) and not git.is_clean(project.root),
    )


def _lock(project: Project) -> Lock:
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        raise NoLockError(project.lock_path.name)
    return lock
