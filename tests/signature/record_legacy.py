"""Record what the SDKs of Pythons that Cog has given up say about models.

    python tests/signature/record_legacy.py PYTHON3.8 [PYTHON3.7]

takes interpreters of those versions, installs the newest ``cog`` that runs on each, and writes for each
folder of ``legacy`` what ``python -m cog.command.openapi_schema`` prints: the document that the SDK's server
has at ``/openapi.json``. A model that the SDK refuses gets the last line of its error in place of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import uv

CASES = Path(__file__).parent / "legacy"


def main() -> None:
    """Record everything."""
    for interpreter in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            record(interpreter, Path(folder))


def record(interpreter: str, folder: Path) -> None:
    """Record every case with the SDK that an interpreter gets."""
    environment, program = folder / "environment", uv.find_uv_bin()
    python = environment / "bin/python"
    subprocess.run([program, "venv", "-q", "--python", interpreter, environment], check=True)
    subprocess.run([program, "pip", "install", "-q", "--python", python, "cog", "setuptools"], check=True)
    asked = [str(python), "-c", "import pkg_resources as p; print(p.get_distribution('cog').version)"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    for case in sorted(path for path in CASES.iterdir() if path.is_dir()):
        source = (case / "predict.py").read_text()
        name = "Predictor" if "class Predictor" in source else "predict"
        lines = [
            f"predict: predict.py:{name}",
            *(["train: predict.py:train"] if "def train" in source else []),
        ]
        project = folder / case.name
        project.mkdir()
        (project / "cog.yaml").write_text("\n".join(lines))
        (project / "predict.py").write_text(source)
        ended = subprocess.run(
            [python, "-m", "cog.command.openapi_schema"],
            cwd=project,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )
        out = case / f"{version}.json"
        if ended.returncode:
            message = ended.stderr.strip().split("\\n")[-2].partition(" Supported")[0]
            out.write_text(json.dumps({"refused": message}, indent=1) + "\n")
        else:
            out.write_text(json.dumps(json.loads(ended.stdout), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
