"""``cog-nix serve``: the model's HTTP server, with the project mounted."""

from __future__ import annotations

import ipaddress
import os
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.flags import BuildFlags, CogBase, ConfigFile, CudaBase, Gpus, Progress
from cog_nix.cli.runtimes import building_for, running_in, usable_runtime
from cog_nix.cli.terminal import reporter
from cog_nix.errors import ConfigError, RuntimeFailure
from cog_nix.system.processes import spawn

if TYPE_CHECKING:
    from cog_nix.plugins.spec import ContainerRequest, Runtime

LOOPBACK = "127.0.0.1"
_ALL = "0.0.0.0"  # noqa: S104 - what upstream's playground listens on
_PORT = 5000
_SERVER = (
    *("python", "--check-hash-based-pycs", "never", "-m", "cog.server.http"),
    *("--await-explicit-shutdown", "true"),
)

_HELP = """Build the model and serve it over HTTP until Ctrl-C.

The project's folder is mounted at /src. The port is published on this machine only, unless --host says
otherwise.

\b
  cog-nix serve                 on http://localhost:8393
  cog-nix serve -p 5000
  cog-nix serve --host 0.0.0.0  also for other machines
  curl http://localhost:8393/predictions -H 'Content-Type: application/json' -d '{"input": {"text": "a"}}'
"""

Host = Annotated[
    str, typer.Option("--host", help="The address the port is published on; 0.0.0.0: on all interfaces.")
]
Port = Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="The port to listen on.")]
UploadUrl = Annotated[
    str,
    typer.Option(
        "--upload-url", show_default=False, help="Where the server uploads files of outputs (with PUT)."
    ),
]
Playground = Annotated[bool, typer.Option("--playground", help="Serve Replicate's playground beside it.")]
PlaygroundPort = Annotated[
    int, typer.Option("--playground-port", min=0, max=65535, help="Port of the playground; 0: a free one.")
]


def register(app: typer.Typer) -> None:
    """Add ``serve`` to the command line."""
    app.command("serve", help=_HELP)(serve)


def serve(
    *,
    host: Host = LOOPBACK,
    port: Port = 8393,
    upload_url: UploadUrl = "",
    gpus: Gpus = "",
    config_file: ConfigFile = "cog.yaml",
    progress: Progress = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
    playground: Playground = False,
    playground_port: PlaygroundPort = 9000,
) -> None:
    """Serve the model; Ctrl-C and SIGTERM are the ways to end it, and no failures.

    Raises:
        ConfigError: the address is none, or model and playground would have one port.
        CogNixError: the playground is asked for, which is part of upstream's program, and there is none.
        RuntimeFailure: the server does not start, or ends by itself.
    """
    from cog_nix.cli.mounted import prepare  # noqa: PLC0415 - a faster --help

    BuildFlags(progress, None, use_cuda_base_image, use_cog_base_image).apply()
    _check_address(host)
    beside = _playground(host, port, playground_port) if playground else None
    runtime = usable_runtime()
    reporter.info(building_for(runtime))
    mounted = prepare(config_file, runtime, cog_base=use_cog_base_image)
    rust_log = os.environ.get("RUST_LOG")
    request = mounted.request(
        (*_SERVER, *(("--upload-url", upload_url) if upload_url else ())),
        env={"LOG_FORMAT": "console", **({"RUST_LOG": rust_log} if rust_log else {})},
        gpus=gpus or ("all" if mounted.has_gpu else None),
        publish=((host, port, _PORT),),
        interactive=True,
        reach_host=bool(upload_url) or playground,
    )
    reporter.info(running_in(runtime, " ".join(request.command or ())))
    reporter.info(f"\nServing at {serving_at(host, port)}\n")
    with spawn(beside) if beside else nullcontext() as process:
        try:
            status = _run(runtime, request, target(host, port))
        finally:
            if process:
                process.terminate()
    if status:
        raise RuntimeFailure(f"container exited with status {status}")


def _run(runtime: Runtime, request: ContainerRequest, url: str) -> int:
    from cog_nix.cli.mounted import own_streams, started  # noqa: PLC0415 - as above

    with started(runtime, request) as container:
        try:
            return container.attach(own_streams(stdin=False))
        except (KeyboardInterrupt, SystemExit):
            _shut_down(url)  # it was told to wait for this, and would ignore SIGTERM
            return 0


def _shut_down(url: str) -> None:
    import httpx  # noqa: PLC0415 - a faster --help

    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/shutdown", timeout=2, trust_env=False)


def _playground(host: str, port: int, playground_port: int) -> list[str]:
    """Return the command of upstream's playground; it listens on all interfaces, for the model's webhooks."""
    from cog_nix.system.shim import require_upstream  # noqa: PLC0415 - only for the playground

    if playground_port == port:
        raise ConfigError(f"playground port {playground_port} must differ from the model port {port}")
    program = require_upstream("`serve --playground`")
    where = ["--target", target(host, port), "--host", _ALL, "--port", str(playground_port)]
    return [str(program), "playground", "--no-open", *where]


def _check_address(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigError(
            f"--host {host}: this is no IP address.", hint=f"Use {LOOPBACK}, or 0.0.0.0 for all interfaces."
        ) from error


def target(host: str, port: int) -> str:
    """Return the URL at which this machine reaches the server."""
    address = ipaddress.ip_address(host)
    return f"http://{_bracketed(LOOPBACK if address.is_unspecified else host)}:{port}"


def serving_at(host: str, port: int) -> str:
    """Return where people reach the server; for all interfaces, also a URL that works here."""
    shown = "localhost" if host in {LOOPBACK, "::1"} else host
    url = f"http://{_bracketed(shown)}:{port}"
    return f"{url} (http://localhost:{port})" if host == _ALL else url


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
