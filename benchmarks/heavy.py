"""An image of 6 GB: PyTorch with CUDA, from nothing but its downloads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import Row, has_docker, project, run, timed

_TAG = "cog-nix-benchmark-torch:latest"


def torch() -> tuple[Row, ...]:
    """Lock, build and load PyTorch with CUDA into an empty store, with nothing cached but downloads."""
    from cog_nix.system.paths import cache_dir  # noqa: PLC0415 - found by then

    # Beside the cache, so on its file system: there a store takes downloads without copying them.
    with (
        project("torch-demo") as copy,
        tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-", dir=cache_dir().parent) as scratch,
    ):
        cache = Path(scratch, "cache")
        cache.mkdir()
        (cache / "downloads").symlink_to(cache_dir() / "downloads")
        copy.env |= {"COG_NIX_CACHE_DIR": str(cache), "COG_NIX_STORE": f"{scratch}/store"}
        for path in (copy.folder / "cog-nix.lock", copy.folder / ".cog"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        rows = [
            Row("torch-lock", "s", timed(1, lambda _: copy.cog_nix("lock")), 10),
            Row("torch-build", "s", timed(1, lambda _: copy.cog_nix("build", "--no-load")), 40),
        ]
        if has_docker():
            loading = timed(1, lambda _: copy.cog_nix("build", "--no-out-link", "-t", _TAG))
            rows.append(Row("torch-load", "s", loading, 30))
            run(["docker", "rmi", "--force", _TAG], copy.folder)
        run(["chmod", "-R", "u+w", scratch], copy.folder)
    return tuple(rows)
