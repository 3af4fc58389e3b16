"""Files that the doctor changes, and those that it leaves to whoever wrote them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from cog_nix.doctor import project

if TYPE_CHECKING:
    from pathlib import Path

WARNING = "ExperimentalFeatureWarning"


def _mended(tmp_path: Path, before: str) -> str | None:
    """Let the doctor look at a file and fix what it can; return the new text, or None where it cannot."""
    path = tmp_path / "other.py"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    found = list(project.source(path, "other.py"))
    assert found
    assert {one.severity for one in found} == {"error"}
    fixes = [one.fix for one in found if one.fix]
    assert len(fixes) in {0, len(found)}
    for fix in fixes:
        fix()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    after = path.read_bytes().decode()
    if fixes:
        assert list(project.source(path, "other.py")) == []
        return after
    assert after == before
    return None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            f"import os\nfrom cog.types import {WARNING}\n\nprint(os)\n",
            "import os\n\nprint(os)\n",
            id="alone",
        ),
        pytest.param(
            f"from cog.types import (\n    Path,\n    {WARNING} as E,\n    File as F,\n)\r\nx = 1  # ü\n",
            "from cog.types import Path, File as F\r\nx = 1  # ü\n",
            id="among-others",
        ),
        pytest.param(
            f"import torch\nimport warnings\nfrom cog.types import {WARNING}\n"
            f'warnings.filterwarnings(\n    "ignore", category={WARNING}\n)\nx = 1\n',
            "import torch\nx = 1\n",
            id="with-its-filter",
        ),
        pytest.param(
            f"import warnings\nfrom cog.types import {WARNING}\nwarnings.simplefilter({WARNING})\n"
            "warnings.warn('x')\n",
            "import warnings\nwarnings.warn('x')\n",
            id="warnings-used-elsewhere",
        ),
        pytest.param(
            f"from cog.types import {WARNING}\ntry:\n    f({WARNING})\nexcept OSError:\n    pass\n",
            None,
            id="used-in-a-statement",
        ),
        pytest.param(f"from cog.types import {WARNING}\n__all__ = ['{WARNING}']\n", None, id="exported"),
        pytest.param(f"from cog.types import {WARNING}; x = 1\n", None, id="two-on-a-line"),
        pytest.param(f"from cog.types import (  # why\n    {WARNING},\n)\n", None, id="with-a-comment"),
    ],
)
def test_imports(tmp_path: Path, before: str, after: str | None) -> None:
    assert _mended(tmp_path, before) == after


FIELDS = "    image: Path\n    score: float = 0.0\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "from pydantic import BaseModel, ConfigDict\n\n\nclass Output(BaseModel):\n"
            f"    model_config = ConfigDict(arbitrary_types_allowed=True)\n{FIELDS}",
            f"from cog import BaseModel\n\n\nclass Output(BaseModel):\n{FIELDS}",
            id="config-dict",
        ),
        pytest.param(
            "from pydantic import BaseModel as B, Field\nx = Field\n\nclass A(B):\n"
            f"{FIELDS}    class Config:\n        arbitrary_types_allowed = True\n\n"
            "class C(B):\n    model_config = {'arbitrary_types_allowed': True}\n",
            "from cog import BaseModel as B\nfrom pydantic import Field\nx = Field\n\nclass A(B):\n"
            f"{FIELDS}\nclass C(B):\n    pass\n",
            id="two-classes-and-another-name",
        ),
        pytest.param(
            "from pydantic import BaseModel\nclass Output(BaseModel):\n"
            f"    model_config = dict(arbitrary_types_allowed=True, frozen=True)\n{FIELDS}",
            None,
            id="other-settings",
        ),
        pytest.param(
            "from pydantic import BaseModel\nclass Other(BaseModel): ...\nclass Output(BaseModel):\n"
            f"    model_config = dict(arbitrary_types_allowed=True)\n{FIELDS}",
            None,
            id="pydantics-class-is-used-elsewhere",
        ),
        pytest.param(
            "import pydantic\nclass Output(pydantic.BaseModel):\n"
            f"    model_config = dict(arbitrary_types_allowed=True)\n{FIELDS}",
            None,
            id="by-its-module",
        ),
        pytest.param(
            "from cog import BaseModel as Ours\nfrom pydantic import BaseModel\nclass Output(BaseModel):\n"
            f"    model_config = dict(arbitrary_types_allowed=True)\n{FIELDS}",
            None,
            id="cogs-is-there-as-well",
        ),
    ],
)
def test_output_classes(tmp_path: Path, before: str, after: str | None) -> None:
    assert _mended(tmp_path, before) == after
