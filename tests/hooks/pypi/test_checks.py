"""What the doctor tells about indexes of Python packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.pypi import checks, diagnose

if TYPE_CHECKING:
    from .conftest import Index


def test_an_index_that_answers(index: Index, plain_machine: pytest.MonkeyPatch) -> None:
    index.add("cog", "0.20.0")
    plain_machine.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple")
    assert checks.diagnose().message == "an index answers (it has cog 0.20.0)"
    index.add("cog", "0.23.1")
    [found] = diagnose()
    assert (found.check, found.severity) == ("Python index", "ok")
    assert "cog 0.23.1" in found.message, "what uv keeps of an index is asked for anew"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("http://127.0.0.1:9/simple", "127.0.0.1", id="nobody-there"),
        pytest.param("", "cog", id="without-the-sdk"),
    ],
)
def test_an_index_that_is_of_no_use(
    url: str, words: str, index: Index, plain_machine: pytest.MonkeyPatch
) -> None:
    plain_machine.setenv("UV_DEFAULT_INDEX", url or f"{index.url}/simple")
    found = checks.diagnose()
    assert found.severity == "error"
    assert words in found.message
    assert found.remedy
