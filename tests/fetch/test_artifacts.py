from __future__ import annotations

import errno
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from cog_nix import __version__
from cog_nix.errors import FetchError
from cog_nix.fetch import download, urls
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fetch.conftest import Site

CONTENT = bytes(range(256)) * 4000  # larger than one chunk


def files_below(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_a_file_is_fetched_once_and_lies_under_its_hash(
    site: Site, fetcher: CachingFetcher, cache: Path
) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    found = fetcher.artifacts([artifact, artifact])
    assert found == {artifact.sha256: cache / "downloads" / "sha256" / artifact.sha256[:2] / artifact.sha256}
    assert found[artifact.sha256].read_bytes() == CONTENT
    assert fetcher.artifacts([artifact]) == found
    assert site.paths() == ["/a.deb"]
    assert site.asked[0][2]["user-agent"] == f"cog-nix/{__version__}"
    assert files_below(cache) == [found[artifact.sha256]]


def test_a_full_cache_needs_neither_server_nor_http_library(
    site: Site, fetcher: CachingFetcher, cache: Path
) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    fetcher.artifacts([artifact])
    program = (
        "import sys; from pathlib import Path\n"
        "from cog_nix.fetch.caching import CachingFetcher; from cog_nix.lock.model import Artifact\n"
        "from cog_nix.report import SilentReporter\n"
        "CachingFetcher(Path(sys.argv[1]), SilentReporter()).artifacts("
        "[Artifact('a.deb', 'http://127.0.0.1:9/a.deb', sys.argv[2], int(sys.argv[3]))])\n"
        "sys.exit('httpx' in sys.modules)\n"
    )
    arguments = [str(cache), artifact.sha256, str(artifact.size)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, env=_import_path())


def _import_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(download.__file__).parents[2])}


def test_many_files_come_at_once(site: Site, fetcher: CachingFetcher) -> None:
    wanted = [site.artifact(f"{number}.whl", bytes([number]) * (number + 1)) for number in range(40)]
    found = fetcher.artifacts(wanted)
    assert [found[artifact.sha256].read_bytes() for artifact in wanted] == [
        site.files[f"/{artifact.filename}"] for artifact in wanted
    ]


def test_a_part_is_continued(site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path]) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    part(artifact).write_bytes(CONTENT[:300_000])
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert [headers["range"] for _, _, headers in site.asked] == ["bytes=300000-"]
    assert not part(artifact).exists()


def test_a_whole_part_is_not_fetched_again(
    site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path]
) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    part(artifact).write_bytes(CONTENT)
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert site.asked == []


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"something else", id="of-another-file"),
        pytest.param(b"x" * len(CONTENT), id="of-another-file-of-this-size"),
        pytest.param(CONTENT + b"more", id="longer-than-the-file"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_useless_part_is_replaced(
    site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path], left: bytes
) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    part(artifact).write_bytes(left)
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path]
) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    part(artifact).write_bytes(CONTENT[:1000])
    site.moods["/big.whl"] = ["whole"]
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "moods",
    [
        pytest.param(["500", "503"], id="server-errors"),
        pytest.param(["cut:300000", "cut:300000", "cut:300000"], id="progress-between-cuts"),
        pytest.param(["429"], id="too-many-requests"),
        pytest.param(["cut:0", "502"], id="mixed"),
    ],
)
def test_passing_failures_are_tried_again(site: Site, fetcher: CachingFetcher, moods: list[str]) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    site.moods["/a.deb"] = list(moods)
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert len(site.asked) == len(moods) + 1


def test_another_hash_is_refused_with_everything_one_needs_to_know(
    site: Site, fetcher: CachingFetcher, cache: Path
) -> None:
    expected = hashlib.sha256(b"what was locked").hexdigest()
    artifact = site.artifact("a.deb", CONTENT, sha256=expected)
    with pytest.raises(FetchError) as caught:
        fetcher.artifacts([artifact])
    for part_of_message in ("a.deb", artifact.url, expected, hashlib.sha256(CONTENT).hexdigest()):
        assert part_of_message in caught.value.message
    assert "lock again" in caught.value.hint
    assert files_below(cache) == []
    assert len(site.asked) == 1


def test_a_longer_file_is_refused(site: Site, fetcher: CachingFetcher, cache: Path) -> None:
    artifact = site.artifact("a.deb", CONTENT, size=10)
    with pytest.raises(FetchError, match="more than 10 bytes"):
        fetcher.artifacts([artifact])
    assert files_below(cache) == []


def test_a_shorter_file_is_refused_at_once(site: Site, fetcher: CachingFetcher, cache: Path) -> None:
    artifact = site.artifact("a.deb", CONTENT, size=len(CONTENT) + 1)
    with pytest.raises(FetchError, match=f"got       {len(CONTENT)} bytes"):
        fetcher.artifacts([artifact])
    assert len(site.asked) == 1
    assert files_below(cache) == []


def test_a_missing_file_is_not_asked_for_again(site: Site, fetcher: CachingFetcher, cache: Path) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    site.files.clear()
    with pytest.raises(FetchError, match=r"a\.deb: 127\.0\.0\.1:\d+ answered 404") as caught:
        fetcher.artifacts([artifact])
    assert "cog-nix lock --upgrade" in caught.value.hint
    assert len(site.asked) == 1
    assert files_below(cache) == []


def test_an_unreachable_mirror_is_named(dead_url: str, fetcher: CachingFetcher) -> None:
    artifact = Artifact(
        "a.deb", f"{dead_url.replace('//', '//user:hunter2@')}/pool/a.deb?token=s3cret", "0" * 64, 3
    )
    with pytest.raises(FetchError) as caught:
        fetcher.artifacts([artifact])
    text = str(caught.value)
    assert "a.deb" in text
    assert dead_url.removeprefix("http://") in text
    assert "3 attempts" in text
    assert "HTTPS_PROXY" in caught.value.hint
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_a_dead_proxy_is_named(
    site: Site, fetcher: CachingFetcher, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    monkeypatch.setenv("HTTP_PROXY", dead_url.replace("//", "//user:hunter2@"))
    with pytest.raises(FetchError, match="through the proxy") as caught:
        fetcher.artifacts([artifact])
    assert "NO_PROXY" in caught.value.hint
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetcher.artifacts([artifact])


def test_what_came_is_kept_when_another_file_fails(
    site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path]
) -> None:
    slow, missing = site.artifact("slow.whl", CONTENT), site.artifact("missing.whl", b"x")
    del site.files["/missing.whl"]
    site.moods["/slow.whl"] = ["slow"]
    threading.Timer(0.5, site.release.set).start()
    with pytest.raises(FetchError, match="missing"):
        fetcher.artifacts([slow, missing])
    site.release.set()
    assert fetcher.artifacts([slow])[slow.sha256].read_bytes() == CONTENT
    assert not part(slow).exists()


def test_a_redirect_does_not_take_credentials_along(site: Site, fetcher: CachingFetcher) -> None:
    artifact = site.artifact("a.deb", CONTENT)
    other = site.url.replace("127.0.0.1", "localhost")
    site.moods["/start"] = [f"redirect:{other}/a.deb"]
    start = Artifact(
        "a.deb", f"{site.url.replace('//', '//user:pass@')}/start", artifact.sha256, artifact.size
    )
    fetcher.artifacts([start])
    assert ["authorization" in headers for _, _, headers in site.asked] == [True, False]


def test_netrc_is_read(
    site: Site, fetcher: CachingFetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetcher.artifacts([site.artifact("a.deb", CONTENT)])
    assert site.asked[0][2]["authorization"] == "Basic dXNlcjpwYXNz"


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://index.example.org/a.whl", ("user", "pass")),
        ("https://Index.Example.org:444/a.whl", ("user", "pass")),
        ("http://index.example.org/a.whl", None),
        ("http://127.0.0.1/a.whl", ("loopback", "pass")),
        ("https://other.example.org/a.whl", None),
    ],
)
def test_netrc_is_for_tls_and_for_machines_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, known: tuple[str, str] | None
) -> None:
    (tmp_path / "netrc").write_text(
        "machine index.example.org login user password pass\n"
        "machine 127.0.0.1 login loopback password pass\n"
        "default login everywhere password pass\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert urls.netrc_credentials(url) == known


def test_credentials_of_an_index_serve_no_other_scheme_or_port(site: Site, cache: Path) -> None:
    """What has credentials over TLS gets none without: an index may name any URL."""
    indexes = [
        site.url.replace("http://", "https://user:pass@"),
        site.url.replace("http://", "http://user:pass@") + "1",
    ]
    fetcher = CachingFetcher(cache, SilentReporter(), credentials=indexes)
    fetcher.artifacts([site.artifact("a.whl", CONTENT)])
    assert "authorization" not in site.asked[0][2]


def test_a_redirect_from_tls_to_none_is_refused(
    site: Site, fetcher: CachingFetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    artifact = site.artifact("a.deb", CONTENT)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def redirect() -> None:
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {site.url}/a.deb\r\n\r\n".encode())

        thread = threading.Thread(target=redirect)
        thread.start()
        start = f"https://127.0.0.1:{listener.getsockname()[1]}/a.deb"
        with pytest.raises(FetchError, match="without TLS"):
            fetcher.artifacts([Artifact("a.deb", start, artifact.sha256, artifact.size)])
        thread.join()
    assert not site.asked


def test_credentials_of_an_index_serve_its_host(site: Site, cache: Path) -> None:
    index = site.url.replace("//", "//user:pass@") + "/simple"
    fetcher = CachingFetcher(cache, SilentReporter(), credentials=[index])
    fetcher.artifacts([site.artifact("a.whl", CONTENT)])
    assert site.asked[0][2]["authorization"] == "Basic dXNlcjpwYXNz"


def test_a_missing_certificate_file_is_named(
    site: Site, fetcher: CachingFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    with pytest.raises(FetchError, match=r"/nonexistent\.pem \(SSL_CERT_FILE\)"):
        fetcher.artifacts([site.artifact("a.deb", CONTENT)])


def test_file_urls_are_copied_and_continued(
    tmp_path: Path, fetcher: CachingFetcher, part: Callable[[Artifact], Path]
) -> None:
    source = tmp_path / "with space+.whl"
    source.write_bytes(CONTENT)
    artifact = Artifact(source.name, source.as_uri(), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    part(artifact).write_bytes(CONTENT[:7])
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("file:///nonexistent/a.deb", "cannot read /nonexistent/a.deb", id="no-file"),
        pytest.param("ftp://example.org/a.deb", "http, https and file", id="another-scheme"),
    ],
)
def test_urls_that_cannot_be_read(fetcher: CachingFetcher, url: str, message: str) -> None:
    with pytest.raises(FetchError, match=message):
        fetcher.artifacts([Artifact("a.deb", url, "0" * 64, 3)])


def test_a_hash_that_is_none_never_becomes_a_path(fetcher: CachingFetcher, cache: Path) -> None:
    with pytest.raises(FetchError, match="not a sha256"):
        fetcher.artifacts([Artifact("a.deb", "file:///etc/hostname", "../../outside", 3)])
    assert not cache.exists()


def test_a_full_disk_is_said_and_what_came_is_kept(
    site: Site, fetcher: CachingFetcher, part: Callable[[Artifact], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    written: list[bytes] = []
    really_write = download.write_all

    def write(stream: object, chunk: bytes) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(chunk)
        really_write(stream, chunk)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(download, "write_all", write)
        with pytest.raises(FetchError, match="no space left"):
            fetcher.artifacts([artifact])
    assert part(artifact).read_bytes() == written[0]
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT


def test_a_cache_that_is_a_file_is_said(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(FetchError, match="cannot write downloads"):
        CachingFetcher(tmp_path / "cache", SilentReporter()).artifacts([site.artifact("a.deb", CONTENT)])


FETCH_ALL = """
import sys
from pathlib import Path
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter
cache, *rows = sys.argv[1:]
wanted = [Artifact(n, u, h, int(s)) for n, u, h, s in (row.split() for row in rows)]
print("ready", flush=True)
for path in CachingFetcher(Path(cache), SilentReporter()).artifacts(wanted).values():
    assert path.exists()
"""


def start_process(cache: Path, wanted: list[Artifact]) -> subprocess.Popen[str]:
    rows = [f"{a.filename} {a.url} {a.sha256} {a.size}" for a in wanted]
    command = [sys.executable, "-c", FETCH_ALL, str(cache), *rows]
    return subprocess.Popen(
        command, env=_import_path(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_processes_at_once_share_the_work(site: Site, cache: Path) -> None:
    wanted = [site.artifact(f"{number}.whl", bytes([number]) * 200_000) for number in range(12)]
    processes = [start_process(cache, wanted) for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    assert [path.read_bytes() for path in files_below(cache)] == [
        site.files[f"/{a.filename}"] for a in sorted(wanted, key=lambda a: a.sha256)
    ]
    assert sorted(site.paths()) == sorted(f"/{a.filename}" for a in wanted)


@pytest.mark.parametrize("signal", [pytest.param(2, id="ctrl-c"), pytest.param(9, id="killed")])
def test_an_interrupted_download_is_carried_on(
    site: Site, fetcher: CachingFetcher, cache: Path, part: Callable[[Artifact], Path], signal: int
) -> None:
    artifact = site.artifact("big.whl", CONTENT)
    site.moods["/big.whl"] = ["slow"]
    process = start_process(cache, [artifact])
    deadline = time.monotonic() + 30
    while not (part(artifact).exists() and part(artifact).stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal)
    started = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert time.monotonic() - started < 10
    assert files_below(cache) == [part(artifact)]
    assert fetcher.artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert site.asked[-1][2]["range"] == "bytes=1-"


class CountingReporter(SilentReporter):
    def __init__(self) -> None:
        self.bars: list[tuple[str, int | None]] = []
        self.advanced = 0

    @contextmanager
    def bytes_bar(self, text: str, total: int | None) -> Iterator[CountingReporter]:
        self.bars.append((text, total))
        yield self

    def advance(self, amount: int) -> None:
        self.advanced += amount

    def describe(self, text: str) -> None:
        pass

    expect = advance


def test_one_bar_counts_each_byte_once(site: Site, cache: Path, part: Callable[[Artifact], Path]) -> None:
    reporter = CountingReporter()
    first, second = site.artifact("big.whl", CONTENT), site.artifact("small.whl", b"abc")
    part(first).write_bytes(b"useless" * 1000)
    site.moods["/small.whl"] = ["cut:2", "whole"]
    fetcher = CachingFetcher(cache, reporter, policy=RetryPolicy(delay=0.01))
    fetcher.artifacts([first, second])
    fetcher.artifacts([first, second])
    assert reporter.bars == [("Fetching 2 files", len(CONTENT) + 3)]
    assert reporter.advanced == len(CONTENT) + 3


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_a_file_url_of_what_is_no_file(fetcher: CachingFetcher, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.deb"
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    with pytest.raises(FetchError, match="it is not a regular file"):
        fetcher.artifacts([Artifact("a.deb", path.as_uri(), "0" * 64, 1)])
