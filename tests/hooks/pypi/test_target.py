from __future__ import annotations

import pytest
from packaging.markers import Marker

from cog_nix_hooks.pypi.explain import explain, shorten
from cog_nix_hooks.pypi.target import Target


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ["a-1-py3-none-any.whl", "a-1-cp313-cp313-manylinux1_x86_64.whl"],
            "a-1-cp313-cp313-manylinux1_x86_64.whl",
            id="native-before-pure",
        ),
        pytest.param(
            ["a-1-cp313-cp313-manylinux_2_17_x86_64.whl", "a-1-cp313-cp313-manylinux_2_34_x86_64.whl"],
            "a-1-cp313-cp313-manylinux_2_34_x86_64.whl",
            id="newest-glibc",
        ),
        pytest.param(
            ["a-1-2-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-py3-none-any.whl"],
            "a-1-10-py3-none-any.whl",
            id="highest-build",
        ),
        pytest.param(
            ["a-1-cp313-cp313-manylinux_2_37_x86_64.whl", "a-1-cp312-cp312-linux_x86_64.whl"],
            None,
            id="none-fits",
        ),
        pytest.param(
            ["a-1-cp313-cp313-linux_x86_64.whl", "nonsense.whl"],
            "a-1-cp313-cp313-linux_x86_64.whl",
            id="plain-linux",
        ),
        pytest.param(["a-1-cp313-cp313t-linux_x86_64.whl"], None, id="free-threaded"),
    ],
)
def test_best(names: list[str], expected: str | None) -> None:
    assert Target("3.13.5", "2.36").best(names) == expected


def test_old_pythons_have_a_flag_in_their_abi() -> None:
    name = "a-1-cp37-cp37m-manylinux1_x86_64.whl"
    assert Target("3.7.17", "2.36").best([name]) == name


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("", True),
        ("python_full_version == '3.13.5'", True),
        ("python_version >= '3.14'", False),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", True),
        ("implementation_name == 'pypy'", False),
    ],
)
def test_markers(marker: str, expected: bool) -> None:  # noqa: FBT001
    assert Target("3.13.5", "2.36").answers(Marker(marker) if marker else None) is expected


def test_a_long_explanation_loses_its_middle() -> None:
    text = shorten(f"  line {number} of many" for number in range(500))
    assert text.startswith("  line 0 of many")
    assert text.endswith("line 499 of many")
    assert len(text) < 1600


def test_an_explanation_is_broken_at_a_hundred_columns_between_words() -> None:
    url = f"https://example.org/{'x' * 150}"
    text = shorten([f"  Because {'only this depends on that and ' * 20}{url} is there"])
    assert [line for line in text.splitlines() if len(line) > 100] == [f"    {url}"]
    assert " ".join(text.split()).count("only this depends on that") == 20


def test_an_untrusted_certificate_is_not_taken_for_a_dead_network() -> None:
    stderr = (
        "error: Failed to fetch: https://example.org/a/\n  cause: invalid peer certificate: UnknownIssuer\n"
    )
    error = explain(stderr, asked_in="cog.yaml", python_version="3.13.5")
    assert "certificate of the package index example.org is not trusted" in error.message
    assert "SSL_CERT_FILE" in error.hint


def test_a_file_that_cannot_be_fetched_is_no_index() -> None:
    url = "https://user:hunter2@files.example.org/a-1.0-py3-none-any.whl"
    shown = "https://files.example.org/a-1.0-py3-none-any.whl"
    stderr = (
        f"error: Failed to download `a @ {shown}`\n  cause: Failed to fetch: {shown}\n"
        "  cause: failed to lookup address information\n"
    )
    error = explain(stderr, asked_in="requirements.txt", python_version="3.13.5", direct=[f"{url}#sha256=ab"])
    assert error.message == (
        "requirements.txt names a file that cannot be fetched: failed to lookup address information\n"
        f"  {shown}"
    )
    assert "package index" in explain(stderr, asked_in="cog.yaml", python_version="3.13.5").message


def test_a_repository_by_an_old_protocol_comes_with_the_new_one() -> None:
    stderr = "error: Git operation failed\n  cause: failed to clone git://git.example.org/a\n"
    assert "write git+https://" in (explain(stderr, asked_in="a", python_version="3.13.5").hint or "")


def test_a_full_disk_is_no_fault_of_the_requirements() -> None:
    stderr = "  failed to write to file `/tmp/x/.tmp1`: No space left on device (os error 28)\n"
    error = explain(stderr, asked_in="cog.yaml", python_version="3.13.5")
    assert error.message.startswith("uv has no room to write to:\n")
    assert "MB left" in error.message
    assert error.hint == "Free some space, then run this again."
