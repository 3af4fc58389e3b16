"""The builders' Python is as good as the lock that names it, so it runs where nothing is in reach."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.lock import format as lock_format
from cog_nix.namespaces import sandbox
from cog_nix.resolve import seed
from cog_nix.store.paths import tree_path
from cog_nix.system.processes import run

from .conftest import PROBE, ROOT, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Machine

HELLO = ROOT / "examples/hello-world"

pytestmark = [pytest.mark.root, pytest.mark.nix, pytest.mark.network]

_HOSTILE = """
import os, sys
if not os.path.exists("/build/made/tried"):
    open("/build/made/tried", "w").close()
    kept, sys.argv = sys.argv, ["escape.py", {facts!r}]
    try:
        exec({probe!r}, {{"__name__": "__main__", "__file__": "escape.py"}})
    except SystemExit:
        pass
    sys.argv = kept
    import atexit
    made = "/build/made/tree/site/yaml/nodes.cpython-313.pyc"
    atexit.register(lambda: (os.remove(made), os.symlink({file!r}, made)))
"""
_COMPILE = """
import json, sys
from pathlib import Path
import seed
python, out, folder, sandbox = sys.argv[1:]
seed._compile_confined(python, Path(out), (f"usr/lib/python{python}", "site"), Path(folder), sandbox)
"""


def test_a_seed_that_is_hostile_does_not_get_out(
    built_copy: Callable[[Path], Path], machine: Machine, tmp_path: Path
) -> None:
    lock = lock_format.read(built_copy(HELLO) / "cog-nix.lock", None)
    assert lock is not None
    tree, work = tmp_path / "tree", tmp_path / "work"
    stored = tree_path(lock.seed.nar_sha256, seed.store_name(lock.seed.python))
    shutil.copytree(stored, tree, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    facts = {**json.loads(machine.text), "file": machine.facts["file"]}
    text = _HOSTILE.format(facts=json.dumps(facts), probe=PROBE.read_text(), file=machine.facts["file"])
    with (tree / f"usr/lib/python{lock.seed.python}/py_compile.py").open("a") as module:
        module.write(text)
    work.mkdir()
    arguments = [lock.seed.python, str(tree), str(work), str(sandbox.__file__)]
    finished = run(
        [sys.executable, "-c", _COMPILE, *arguments],
        env={"PYTHONPATH": str(ROOT / "nix/builders"), "PATH": "/usr/bin:/bin"},
    )
    found = Outcome.read(finished.stdout + finished.stderr)
    assert found.worked.keys() <= {"dump_core"}, found.worked
    assert {"write_swappiness", "read_file", "signal_machine"} <= found.refused.keys()
    assert not (tree / "site/yaml/__pycache__/nodes.cpython-313.pyc").exists()
    assert (tree / "site/yaml/__pycache__/tokens.cpython-313.pyc").is_file()
