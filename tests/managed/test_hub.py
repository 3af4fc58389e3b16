"""Sources on a hub: what it lists, what it keeps elsewhere, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.fetch.failures import UnreachableError, WrongFileError
from cog_nix.managed.importing import bring, record
from cog_nix.managed.planning import plan
from cog_nix.managed.source import SourceError
from cog_nix.weights.model import WeightsLock
from tests.managed.conftest import weight
from tests.managed.hub import COMMIT

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.managed.planning import Plan
    from cog_nix.managed.source import Surroundings
    from tests.managed.hub import Hub

LARGE = bytes(range(256)) * 1000


def import_from(around: Surroundings, project: Path, uri: str = "hf://org/repo", **patterns: Any) -> Plan:
    found = plan(weight(uri, **patterns), WeightsLock(), project, around)
    bring(found, around)
    return found


def test_a_repository_is_imported_at_its_commit(hub: Hub, around: Surroundings, project: Path) -> None:
    for number in range(7):
        hub.add(f"part {number}.json", b"%d" % number)
    digest = hub.add("folder/weights#1.safetensors", LARGE, lfs=True)
    found = import_from(around, project)
    assert [file.path for file in found.files] == sorted(hub.files)
    assert found.sources[0].fingerprint == f"commit:{COMMIT}"
    assert hub.count("GET .*/tree/") == 3, "in pages"
    assert hub.count("^store") == 1, "what LFS keeps is fetched once"
    assert hub.count(f"/resolve/{COMMIT}/part%20") == 7, "and everything else once as well"
    assert around.store.path(digest).read_bytes() == LARGE
    for file in found.files:
        assert around.store.held(file.digest, file.size)


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("hf://org/repo@v1.0", "v1.0"),
        ("huggingface://org/repo@refs/pr/1", "refs%2Fpr%2F1"),
    ],
    ids=["tag", "pull-request"],
)
def test_a_revision(hub: Hub, around: Surroundings, project: Path, uri: str, asked: str) -> None:
    hub.add("a", b"a")
    hub.revisions = {"v1.0": "6" * 40, "refs/pr/1": "6" * 40}
    assert import_from(around, project, uri).sources[0].fingerprint == f"commit:{'6' * 40}"
    assert hub.count(f"/revision/{asked}$")


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_a_token_is_for_the_hub_alone(hub: Hub, around: Surroundings, project: Path, name: str) -> None:
    hub.token = "hf_secret"  # noqa: S105 - of the test
    hub.add("a.bin", LARGE, lfs=True)
    around = replace(around, environ={**around.environ, name: hub.token})
    import_from(around, project)
    assert hub.shown == [""], "the store of large files is another host"


def test_a_token_is_for_no_other_page_either(hub: Hub, around: Surroundings, project: Path) -> None:
    hub.token = "hf_secret"  # noqa: S105 - of the test
    hub.add("a", b"a")
    there = f"http://localhost:{hub.store_port}/elsewhere"
    hub.failures.append((302, {"Location": there}))
    (hub.folder / "elsewhere").write_text("{}")
    around = replace(around, environ={**around.environ, "HF_TOKEN": hub.token})
    with pytest.raises(SourceError, match="says that the revision main is None"):
        import_from(around, project)
    assert hub.shown == [""]


def test_only_what_is_chosen_is_read(hub: Hub, around: Surroundings, project: Path) -> None:
    hub.add("model.bin", LARGE, lfs=True)
    hub.add("model.safetensors", LARGE[1:], lfs=True)
    hub.add("README.md", b"read me")
    found = import_from(around, project, include=("*.safetensors",))
    assert [file.path for file in found.files] == ["model.safetensors"]
    assert [file.path for file in found.excluded] == ["README.md", "model.bin"]
    assert hub.count("resolve") == 1


def test_nothing_is_read_again_of_the_same_commit(hub: Hub, around: Surroundings, project: Path) -> None:
    hub.add("model.bin", LARGE, lfs=True)
    hub.add("config.json", b"{}")
    first = import_from(around, project)
    known = record(first, None, {}, around)
    hub.log.clear()
    again = plan(weight("hf://org/repo"), WeightsLock((known,)), project, around)
    assert (again.status, again.files) == ("unchanged", first.files)
    assert not hub.count("resolve")
    hub.revisions["main"] = "7" * 40
    hub.add("config.json", b"{1}")
    moved = plan(weight("hf://org/repo"), WeightsLock((known,)), project, around)
    assert moved.status == "upstream-changed"
    assert moved.changes == (f"fingerprint: commit:{COMMIT} → commit:{'7' * 40}",)
    assert moved.files != first.files


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(hub: Hub, around: Surroundings, project: Path, status: int) -> None:
    hub.add("a", b"a")
    hub.failures.extend([(status, {"Retry-After": "0"})] * 3)
    assert len(import_from(around, project).files) == 1


def test_a_download_goes_on_where_it_was_cut(hub: Hub, around: Surroundings, project: Path) -> None:
    digest = hub.add("a.bin", LARGE, lfs=True)
    hub.cuts.extend([1000, 70_000])
    import_from(around, project)
    assert around.store.path(digest).read_bytes() == LARGE
    assert hub.ranges[0] == ""
    resumed = [int(one.removeprefix("bytes=").removesuffix("-")) for one in hub.ranges[1:]]
    assert resumed == [1000, 71_000]


def test_a_later_run_goes_on_as_well(hub: Hub, around: Surroundings, project: Path) -> None:
    digest = hub.add("a.bin", LARGE, lfs=True)
    hub.cuts.append(200_000)
    hub.cuts.extend([0] * 10)
    with pytest.raises(UnreachableError):
        import_from(around, project)
    hub.cuts.clear()
    hub.ranges.clear()
    import_from(replace(around, cancelled=type(around.cancelled)()), project)
    assert hub.ranges == ["bytes=200000-"]
    assert around.store.path(digest).read_bytes() == LARGE


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "Set HF_TOKEN"), (403, "Accept the model's terms"), (404, "Look for its name")],
)
def test_refusals(hub: Hub, around: Surroundings, project: Path, status: int, hint: str) -> None:
    hub.failures.append((status, {}))
    with pytest.raises(SourceError, match=f"cannot import hf://org/repo: .* answered {status}") as caught:
        import_from(around, project)
    assert caught.value.hint.startswith(hint)


def test_content_that_is_not_what_the_hub_says(hub: Hub, around: Surroundings, project: Path) -> None:
    digest = hub.add("a.bin", LARGE, lfs=True)
    hub.files["a.bin"].path.write_bytes(LARGE[::-1])
    with pytest.raises(WrongFileError, match=digest.removeprefix("sha256:")) as caught:
        import_from(around, project)
    assert "Import it again" in caught.value.shown()
    assert not around.store.held(digest, len(LARGE))
    assert not list(around.store.files.rglob("*.part"))


REVISION = "/api/models/org/repo/revision/main"
TREE = f"/api/models/org/repo/tree/{COMMIT}"


@pytest.mark.parametrize(
    "case",
    [
        (
            "/api/models/org/repo/revision/main",
            {"sha": "../../x"},
            "says that the revision main is '../../x'",
        ),
        (REVISION, [], "says that the revision main is None"),
        (TREE, {"error": "x"}, "its list of files is not one"),
        (TREE, [{"type": "file", "path": "a"}], "its list of files is not one"),
        (TREE, [{"type": "file", "path": "../a", "size": 1}], "'../a' is not a path in a repository"),
        (TREE, [{"type": "file", "path": "/a", "size": 1}], "'/a' is not a path in a repository"),
        (TREE, [{"type": "file", "path": "a", "size": -1}], "size -1 is not a number of bytes"),
        (TREE, [{"type": "file", "path": "a", "size": 1, "lfs": {"oid": "x", "size": 1}}], "is not a sha256"),
        (TREE, [{"type": "file", "path": "a", "size": 1, "lfs": 3}], "3 is not an object"),
    ],
)
def test_answers_that_make_no_sense(
    hub: Hub, around: Surroundings, project: Path, case: tuple[str, Any, str]
) -> None:
    path, hub.answers[path], said = case
    with pytest.raises(SourceError) as caught:
        import_from(around, project)
    assert said in str(caught.value)
    assert hub.endpoint in caught.value.hint


def test_a_size_that_is_not_the_listed_one(hub: Hub, around: Surroundings, project: Path) -> None:
    hub.add("a", b"abc")
    hub.answers[TREE] = [{"type": "file", "path": "a", "size": 1}]
    with pytest.raises(SourceError, match="a has 3 bytes, and 1 in its list"):
        import_from(around, project)


def test_a_list_that_leads_in_a_circle(hub: Hub, around: Surroundings, project: Path) -> None:
    for number in range(5):
        hub.add(f"{number}", b"a")
    hub.next_page = f"{hub.endpoint}{TREE}?recursive=true"
    with pytest.raises(SourceError, match="leads in a circle"):
        import_from(around, project)


def test_a_hub_that_is_not_there(around: Surroundings, project: Path) -> None:
    around = replace(around, environ={"HF_ENDPOINT": "http://127.0.0.1:1"})
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        import_from(around, project)


@pytest.mark.parametrize("endpoint", ["nowhere", "ftp://127.0.0.1", "http://["])
def test_an_endpoint_that_is_none(around: Surroundings, project: Path, endpoint: str) -> None:
    with pytest.raises(SourceError) as caught:
        import_from(replace(around, environ={"HF_ENDPOINT": endpoint}), project)
    assert "HF_ENDPOINT" in caught.value.hint
