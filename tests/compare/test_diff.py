"""What changed between locks and images, as values, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.changes import told
from cog_nix.compare import inventory
from cog_nix.compare.diff import diff
from cog_nix.compare.fixes import with_fixes
from cog_nix.config.model import Settings
from cog_nix.errors import FetchError, ImageError
from cog_nix.lock.explain import Asked
from cog_nix.plugins.spec import Context
from cog_nix_hooks.debian.database import DPKG
from tests.lock.conftest import make_deb, make_lock, make_wheel

from .samples import image, layer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cog_nix.compare.inventory import Inventory
    from cog_nix.compare.subject import Subject
    from cog_nix.lock.model import Lock

STATUS = """\
Package: bash
Status: install ok installed
Version: 1.0-1
Description: a shell
 Status: not this

Package: gone
Status: deinstall ok config-files
Version: 1

"""


TABLE = """\
old.lock -> new.lock

In the image: 2 added, 4 removed, 2 changed
           package              old      new       size
  changed  bash                 1.0-1    1.0-2              closes CVE-2, CVE-3, CVE-4, CVE-5 and 2 more
  removed  ffmpeg               7:7.1-1            -1.0 kB
  removed  flash-attn (Python)  2.0                -1.0 kB
  added    git                           1:2.47-1  +1.0 kB  git is asked for in cog.yaml:7
  removed  libavcodec61         7:7.1-1            -1.0 kB
  added    libcurl3                      1.0-1     +1.0 kB  git is asked for in cog.yaml:7
  removed  login                1.0-1              -1.0 kB
  changed  numpy (Python)       2.0      2.1       +5.0 MB

For builds only: 1 added, 1 changed
           package  old     new     size
  changed  gcc      14.2-1  14.2-2
  added    login            1.0-1   +1.0 kB  login is essential in Debian, and comes with system packages

Layers: 4 of 7 are shared; about 5.0 MB to fetch
  base  2.0 kB
  system-packages  3.0 kB
  python-packages  5.0 MB"""


def locked(name: str = "new.lock", **changes: Any) -> Inventory:
    return inventory.of_lock(make_lock(**changes), name)


@pytest.fixture
def newer() -> Inventory:
    """Return a lock with a package that came, one that went and one that moved."""
    return locked(
        base=(make_deb("bash", "1.0-2"), make_deb("libc6", "2.41-12")),
        system=(make_deb("git", "1:2.47-1", "libcurl3"), make_deb("libcurl3")),
        wheels=(make_wheel("cog", "0.23.1"), make_wheel("numpy", "2.1", size=5_000_000)),
        build=(make_deb("gcc", "14.2-2"),),
        layers=(
            ("base", ("deb:bash", "deb:libc6")),
            ("python", ("deb:python3.13", "state:base", "venv")),
            ("system-packages", ("deb:git", "deb:libcurl3", "deb:libgl1", "state:system")),
            ("sdk", ("wheel:cog",)),
            ("python-packages", ("wheel:numpy", "links:numpy")),
            ("run-0", ("run:0",)),
            ("source", ("source",)),
        ),
    )


def test_a_lock_and_itself() -> None:
    found = diff(locked("a.lock"), locked("b.lock"))
    assert not found
    assert list(told(found)) == ["No change from a.lock to b.lock."]
    assert found.plain()["same"]


def test_the_table(newer: Inventory) -> None:
    found = diff(locked("old.lock"), newer, Asked(system={"git": "cog.yaml:7"}, python={}))
    fixes = {"bash": [f"CVE-{number}" for number in range(6)]}
    assert "\n".join(told(replace(found, fixes=fixes))) == TABLE


def test_json(newer: Inventory) -> None:
    found = diff(locked("old.lock"), newer, Asked(system={"git": "cog.yaml:7"}, python={}))
    plain = json.loads(json.dumps(replace(found, fixes={"bash": ["CVE-2026-1"]}).plain()))
    by_name = {one["name"]: one for one in plain["packages"]}
    assert by_name["bash"]["fixes"] == ["CVE-2026-1"]
    assert by_name["libcurl3"]["because"] == ["git needs libcurl3", "git is asked for in cog.yaml:7"]
    assert by_name["gcc"]["in_image"] is False
    assert (by_name["numpy"]["old"], by_name["numpy"]["new"]) == ("2.0", "2.1")
    assert by_name["ffmpeg"]["change"] == "removed"
    assert plain["layers"]["bytes"] == sum(one["bytes"] for one in plain["layers"]["changed"])
    assert plain["layers"]["shared"] == ["python", "sdk", "run-0", "source"]


def test_a_layer_whose_package_moved_is_fetched_and_no_other() -> None:
    moved = locked(wheels=(make_wheel("cog", "0.24"), *make_lock().wheels[1:]))
    found = diff(locked("old.lock"), moved)
    assert [one.name for one in found.fetched] == ["sdk"]
    assert found.bytes == 1000


def test_images_say_what_dpkg_and_python_know() -> None:
    metadata = "Metadata-Version: 2.1\nName: Tiny_Thing\nVersion: 1.2\n\nName: not this\n"
    path = "usr/local/lib/python3.13/site-packages/tiny_thing-1.2.dist-info/METADATA"
    found = inventory.of_image(image(layer({"var/lib/dpkg/status": STATUS}), layer({path: metadata})), DPKG)
    assert {title: one.version for title, one in found.packages.items()} == {
        "bash": "1.0-1",
        "tiny-thing (Python)": "1.2",
    }


def test_a_list_of_packages_that_is_far_too_long_is_not_read() -> None:
    found = image(layer({"var/lib/dpkg/status": STATUS + "\n" * (17 << 20)}))
    with pytest.raises(ImageError, match=r"var/lib/dpkg/status has 178\d+ bytes, more than any such file"):
        inventory.of_image(found, DPKG)


def test_a_label_spares_reading_below_the_topmost_database() -> None:
    def opened(number: int) -> Any:
        if not number:
            pytest.fail("the layer below is read")
        assert whole.open
        return whole.open(number)

    whole = image(
        layer({"big": "x"}),
        layer({"var/lib/dpkg/status": STATUS}),
        Labels={"run.cog.pip_freeze": "numpy==2.0\n-e git+https://x#egg=a\ntool @ file:///tool\n"},
    )
    found = inventory.of_image(replace(whole, open=opened), DPKG)
    assert {title: one.version for title, one in found.packages.items()} == {
        "bash": "1.0-1",
        "numpy (Python)": "2.0",
        "tool (Python)": "",
    }


def of_lock_as_image(lock: Lock) -> Subject:
    """Return an image that has what a lock says, as images tell it."""
    members = {one for _, members in lock.layers for one in members}
    status = "".join(
        f"Package: {deb.package}\nStatus: install ok installed\nVersion: {deb.version}\n\n"
        for deb in lock.installed
        if f"deb:{deb.package}" in members
    )
    freeze = "".join(f"{one.name}=={one.version}\n" for one in lock.wheels)
    return image(layer({"var/lib/dpkg/status": status}), Labels={"run.cog.pip_freeze": freeze}, title="image")


def test_a_lock_and_its_image_have_the_same_packages() -> None:
    lock = make_lock()
    found = diff(inventory.of_lock(lock, "cog-nix.lock"), inventory.of_image(of_lock_as_image(lock), DPKG))
    assert not found.layered
    assert not found
    other = make_lock(base=(make_deb("bash", "2.0-1"), make_deb("libc6", "2.41-12")))
    found = diff(inventory.of_lock(lock, "cog-nix.lock"), inventory.of_image(of_lock_as_image(other), DPKG))
    assert list(map(str, found.changes)) == ["changed  bash 1.0-1 -> 2.0-1"]


def test_an_image_whose_layers_are_unpacked_cannot_be_read() -> None:
    with pytest.raises(ImageError, match="unpacked"):
        inventory.of_image(replace(image(layer({})), open=None), DPKG)


class _Reporter:
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


class _Plugins:
    def __init__(self, answer: Mapping[str, list[str]] | Exception | None) -> None:
        self.answer, self.asked = answer, []  # type: ignore[var-annotated]

    def find_fixes(self, updates: Any, suite: str, _: Context) -> Any:
        self.asked.append(([(old, deb.package) for old, deb in updates], suite))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected", "warned"),
    [
        pytest.param({"bash": ["CVE-2026-1"]}, {"bash": ["CVE-2026-1"]}, [], id="told"),
        pytest.param(None, {}, [], id="nobody knows the suite"),
        pytest.param(
            FetchError("the mirror is away\nand more"),
            {},
            ["Security fixes of 2 packages cannot be told: the mirror is away"],
            id="nothing can be fetched",
        ),
    ],
)
def test_fixes_are_asked_for_what_moved_and_one_line_says_where_they_cannot_be_told(
    newer: Inventory, answer: Any, expected: Any, warned: list[str]
) -> None:
    plugins: Any = _Plugins(answer)
    reporter: Any = _Reporter()
    context: Any = Context(Settings(), None, reporter, None)  # type: ignore[arg-type]
    found = diff(locked("old.lock"), newer)
    assert with_fixes(found, plugins, context) == expected
    assert plugins.asked == [([("1.0-1", "bash"), ("14.2-1", "gcc")], "trixie")]
    assert reporter.warned == warned
