"""What ``explain`` reads of images that only the daemonless runtime holds."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.compare import find
from cog_nix.explain.report import report
from cog_nix.image.description import ImageDescription
from cog_nix.image.project_files import FileChangedError
from cog_nix.report import SilentReporter
from cog_nix.system.status import status
from cog_nix_hooks.bundle import packed
from cog_nix_hooks.bundle.bound import BoundFile
from cog_nix_hooks.bundle.layers import OPAQUE_ATTRIBUTE, keep_whiteouts
from cog_nix_hooks.bundle.runtime import BundleRuntime

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An unpacked layer with what is special in one."""
    made = tmp_path / "layer"
    (made / "etc/old").mkdir(parents=True)
    (made / "etc/a").write_bytes(b"text")
    os.link(made / "etc/a", made / "etc/b")
    (made / "etc/c").symlink_to("a")
    (made / "etc/.wh.gone").touch()
    (made / "etc/old/.wh..wh..opq").touch()
    keep_whiteouts(made)
    assert os.getxattr(made / "etc/old", OPAQUE_ATTRIBUTE) == b"y"
    return made


def members(folder: Path, *bound: BoundFile) -> dict[str, tarfile.TarInfo]:
    with packed.opened(folder, bound) as stream:
        data = stream.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {one.name: one for one in tar}


def test_a_layer_is_what_was_unpacked(folder: Path) -> None:
    found = members(folder)
    assert list(found) == [
        "etc", "etc/a", "etc/b", "etc/c", "etc/.wh.gone", "etc/old", "etc/old/.wh..wh..opq",
    ]  # fmt: skip
    assert (found["etc/a"].size, found["etc/b"].linkname, found["etc/c"].linkname) == (4, "etc/a", "a")
    assert found["etc/.wh.gone"].isreg()
    assert found["etc/old"].isdir()


def test_a_file_that_stayed_where_it_was_is_read_there(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(b"w" * 1000)
    bound = BoundFile(str(source), "etc/a", status(str(source)) or [])
    assert members(folder, bound)["etc/a"].size == 1000
    source.write_bytes(b"other")
    with pytest.raises(FileChangedError):
        members(folder, bound)


def test_who_has_seen_enough_may_go(folder: Path) -> None:
    (folder / "large").write_bytes(bytes(1 << 20))
    for _ in range(50):  # the pipe breaks at different moments, in some while it is closed
        with packed.opened(folder, ()) as stream:
            assert len(stream.read(10)) == 10


@pytest.mark.slow
def test_an_image_that_nobody_else_holds_is_explained(tmp_path: Path, shell: Path) -> None:
    runtime = BundleRuntime(tmp_path / "bundle")
    runtime.load(shell, ["shell"], SilentReporter())
    with find.opened("shell", lambda: runtime, SilentReporter()) as image:
        found = report(image, SilentReporter())
    built = ImageDescription.ask(shell)
    assert (found.id, [one.diff_id for one in found.layers]) == (built.id, list(built.diff_ids))
    assert all(one.estimated for one in found.layers)
    assert found.sizes.stored == pytest.approx(sum(one.size for one in built.layers), rel=0.1)
