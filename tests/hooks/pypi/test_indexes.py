from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.pypi.indexes import credentialed_urls, uv_environment, uv_has_indexes
from cog_nix_hooks.pypi.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Wheel

    from .conftest import Index

PIP_INDEX = "https://pip.example.org/simple"
UV_INDEX = "https://uv.example.org/simple"


def environment(home: Path, lines: Lines | None = None, **variables: str) -> dict[str, str]:
    nowhere = {"HOME": str(home), "XDG_CONFIG_DIRS": str(home)}
    return uv_environment(lines or Lines(), {**nowhere, **variables})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_pip_variables_are_translated(tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        PIP_INDEX_URL=PIP_INDEX,
        PIP_EXTRA_INDEX_URL="https://a.example.org https://b.example.org",
        PIP_TRUSTED_HOST="a.example.org",
        PIP_CERT="/ca.pem",
        PIP_PROXY="http://proxy.example.org:3128",
        PIP_DEFAULT_TIMEOUT="99",
    )
    assert env["UV_DEFAULT_INDEX"] == PIP_INDEX
    assert env["UV_INDEX"] == "https://a.example.org https://b.example.org"
    assert env["UV_INSECURE_HOST"] == "a.example.org"
    assert env["SSL_CERT_FILE"] == "/ca.pem"
    assert env["ALL_PROXY"] == "http://proxy.example.org:3128"
    assert env["UV_HTTP_TIMEOUT"] == "99"


def test_the_width_of_a_terminal_breaks_no_line_that_is_read(tmp_path: Path) -> None:
    assert "COLUMNS" not in environment(tmp_path, COLUMNS="80")


@pytest.mark.parametrize("place", [".pip/pip.conf", ".config/pip/pip.conf", "pip/pip.conf"])
def test_pip_conf_is_translated(tmp_path: Path, place: str) -> None:
    write(
        tmp_path / place,
        f"[global]\nindex_url = https://global.example.org\n[install]\nindex-url = {PIP_INDEX}\n",
    )
    assert environment(tmp_path)["UV_DEFAULT_INDEX"] == PIP_INDEX
    assert "UV_DEFAULT_INDEX" not in environment(tmp_path, PIP_CONFIG_FILE="/dev/null")


def test_an_unreadable_pip_conf_is_left_to_pip(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "index-url without a section")
    assert "UV_DEFAULT_INDEX" not in environment(tmp_path)


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"])
def test_a_variable_of_uv_wins_over_pip(tmp_path: Path, variable: str) -> None:
    env = environment(tmp_path, PIP_INDEX_URL=PIP_INDEX, **{variable: UV_INDEX})  # type: ignore[arg-type]
    assert PIP_INDEX not in env.get("UV_DEFAULT_INDEX", "")
    assert env[variable] == UV_INDEX


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('index-url = "https://uv.example.org"', id="top"),
        pytest.param('[pip]\nindex-url = "https://uv.example.org"', id="pip"),
        pytest.param('[[index]]\nurl = "https://uv.example.org"', id="index"),
    ],
)
def test_uv_toml_wins_over_pip(tmp_path: Path, text: str) -> None:
    write(tmp_path / ".config/uv/uv.toml", text)
    assert "UV_DEFAULT_INDEX" not in environment(tmp_path, PIP_INDEX_URL=PIP_INDEX)
    assert "UV_DEFAULT_INDEX" in environment(tmp_path, PIP_INDEX_URL=PIP_INDEX, UV_NO_CONFIG="1")


def test_the_requirements_file_wins_over_all(tmp_path: Path) -> None:
    lines = Lines(
        index="https://line.example.org", extra=("https://x.example.org",), trusted=("x.example.org",)
    )
    env = environment(tmp_path, lines, UV_INDEX_URL=UV_INDEX, UV_INDEX="corp=https://corp.example.org")
    assert env["UV_DEFAULT_INDEX"] == "https://line.example.org"
    assert "UV_INDEX_URL" not in env
    assert env["UV_INDEX"] == "corp=https://corp.example.org https://x.example.org"
    assert env["UV_INSECURE_HOST"] == "x.example.org"


def test_own_certificates_and_proxies_stay(tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        SSL_CERT_FILE="/mine.pem",
        REQUESTS_CA_BUNDLE="/other.pem",
        https_proxy="http://a",
        PIP_PROXY="http://b",
    )
    assert env["SSL_CERT_FILE"] == "/mine.pem"
    assert "ALL_PROXY" not in env


def test_local_wheels_of_the_machine_have_no_say(tmp_path: Path) -> None:
    env = environment(tmp_path, PIP_FIND_LINKS="/wheels")
    assert "/wheels" not in "".join(value for name, value in env.items() if name.startswith("UV_"))


@pytest.mark.parametrize(
    ("lines", "variables"),
    [
        pytest.param((), {"UV_INDEX": "https://b.example.org/p@th corp=SECRET"}, id="uv"),
        pytest.param((), {"PIP_EXTRA_INDEX_URL": "https://b.example.org SECRET"}, id="pip"),
        pytest.param(("torch --extra-index-url=SECRET",), {}, id="behind-a-requirement"),
        pytest.param(("--find-links SECRET",), {}, id="find-links"),
        pytest.param(("a @ SECRET",), {}, id="file"),
        pytest.param(("a @ git+SECRET",), {}, id="git"),
        pytest.param(
            ("--index-url https://${WHO}:${TOKEN}@uv.example.org/simple",),
            {"WHO": "user", "TOKEN": "p%40ss"},
            id="from-the-environment",
        ),
        pytest.param(
            (),
            {
                "UV_INDEX": "my-corp=https://uv.example.org/simple",
                "UV_INDEX_MY_CORP_USERNAME": "user",
                "UV_INDEX_MY_CORP_PASSWORD": "p@ss",
            },
            id="named-index",
        ),
    ],
)
def test_urls_with_credentials_are_listed(
    tmp_path: Path, lines: tuple[str, ...], variables: dict[str, str]
) -> None:
    secret = "https://user:p%40ss@uv.example.org/simple"  # noqa: S105
    known = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    known |= {name: value.replace("SECRET", secret) for name, value in variables.items()}
    assert credentialed_urls([line.replace("SECRET", secret) for line in lines], known) == (secret,)


@pytest.mark.parametrize("variable", ["UV_KEYRING_PROVIDER", "PIP_KEYRING_PROVIDER"])
def test_a_keyring_is_asked_for_the_password_of_a_user(tmp_path: Path, variable: str) -> None:
    keyring = tmp_path / "keyring"
    keyring.write_text('#!/bin/sh\n[ "$*" = "get uv.example.org user" ] && echo hunter2\n')
    keyring.chmod(0o755)
    index = "https://user@uv.example.org/simple"
    known = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), "UV_DEFAULT_INDEX": index}
    known["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    assert credentialed_urls((), known) == (index,)
    asked = credentialed_urls((), {**known, variable: "subprocess"})
    assert asked == ("https://user:hunter2@uv.example.org/simple",)


def test_the_machine_s_index_is_used(
    plain_machine: pytest.MonkeyPatch, index: Index, resolve: Callable[..., dict[str, Wheel]]
) -> None:
    index.add("lib", "1.0")
    plain_machine.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    assert resolve("lib")["lib"].version == "1.0"


def test_a_number_that_python_does_not_read_is_left_to_uv(tmp_path: Path) -> None:
    config = tmp_path / "uv.toml"
    config.write_text(f"a = {'9' * 5000}")
    assert not uv_has_indexes({"UV_CONFIG_FILE": str(config)})
