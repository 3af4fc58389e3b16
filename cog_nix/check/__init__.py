"""Does an image keep the promises that Cog's own images keep?

An independent witness: it knows Docker, HTTP and Cog's documentation, and nothing of how an image was made,
so it judges images of Replicate's ``cog`` and of ``cog-nix`` alike. The story in four nouns:

- a *promise* is a sentence that users of Cog images rely on;
- a *case* is a folder under ``cases/``: one promise, where it is documented, and the steps that prove it;
- a *project* is a small model under ``projects/`` that some promises need: one that is slow, one that fails;
- a *result* is what the steps of a case found.

::

    for result in run("my-model", inputs={"image": "@cat.png"}):
        print(result.case, result.outcome, result.detail)
"""

from __future__ import annotations

from cog_nix.check.case import Case, CompatError, all_cases, project_path
from cog_nix.check.result import Outcome, Result
from cog_nix.check.suite import run

__all__ = ["Case", "CompatError", "Outcome", "Result", "all_cases", "project_path", "run"]
