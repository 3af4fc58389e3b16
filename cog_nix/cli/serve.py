"""``cog-nix serve``: the model's HTTP server, with the project mounted."""

from __future__ import annotations

import ipaddress
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli import interrupts
from cog_nix.cli.building import build_and_load
from cog_nix.cli.options import BuildOptions, Gpus
from cog_nix.cli.project_container import LOOPBACK, check_status, own_streams, request_for, started
from cog_nix.cli.runtimes import building_for, running_in, usable_runtime
from cog_nix.errors import ConfigError, FlagError
from cog_nix.playground import Playground, Settings

if TYPE_CHECKING:
    from cog_nix.cli.building import LoadedImage
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import ContainerRequest, InteractiveContainer, Runtime
    from cog_nix.weights.mounts import Mounts

_ALL = "0.0.0.0"  # noqa: S104 - what upstream's playground listens on
_PORT = 5000
_PYTHON = ("python", "--check-hash-based-pycs", "never")
_SERVER = (*_PYTHON, "-m", "cog.server.http", "--await-explicit-shutdown", "true")


@dataclass(frozen=True, kw_only=True)
class _Options(BuildOptions):
    host: Annotated[
        str, typer.Option("--host", help="The address the port is published on; 0.0.0.0: on all interfaces.")
    ] = LOOPBACK
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="The port to listen on.")] = 8393
    upload_url: Annotated[
        str,
        typer.Option(
            "--upload-url", show_default=False, help="Where the server uploads files of outputs (with PUT)."
        ),
    ] = ""
    gpus: Gpus = ""
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Restart the model when its source is edited; the container goes on."),
    ] = False
    update_lock: Annotated[
        bool,
        typer.Option(
            "--update-lock",
            help="Resolve again when cog-nix.lock does not fit cog.yaml any more; with --watch also while it "
            "is served: lock, build and swap the container.",
        ),
    ] = False
    playground: Annotated[
        bool, typer.Option("--playground", help="Serve a page for talking to the model beside it.")
    ] = False
    playground_port: Annotated[
        int,
        typer.Option("--playground-port", min=0, max=65535, help="Port of the playground; 0: a free one."),
    ] = 9000


def serve(session: Session, options: _Options) -> None:
    """Serve the model; Ctrl-C and SIGTERM are the ways to end it, and no failures.

    Raises:
        ConfigError: the address is none, or model and playground would have one port.
        ListenError: the playground cannot listen on its port.
        RuntimeFailure: the server does not start, or ends by itself.
    """
    host, port = options.host, options.port
    interrupts.answer_interrupt()
    options.apply(session)
    _check_address(host)
    with _playground(host, port, options.playground_port) if options.playground else nullcontext() as page:
        _serve(session, options, page)


def _serve(session: Session, options: _Options, page: Playground | None) -> None:
    host, port = options.host, options.port
    runtime = usable_runtime(session)
    session.reporter.info(building_for(runtime))
    image = build_and_load(
        session,
        options.config_file,
        runtime,
        cog_base=options.use_cog_base_image,
        update=options.update_lock,
        platform=options.platform,
    )
    command = _command(options)
    session.reporter.info(running_in(runtime, " ".join(command)))
    session.reporter.info(f"\nServing at {serving_at(host, port)}")
    if page:
        session.reporter.info(f"Playground at {page.url}")
    session.reporter.info("")
    if options.watch:
        status = _run_watched(session, runtime, image, options, page)
    else:
        with image.mounted(in_project=True) as weights:
            request = _request(image, command, options, weights)
            status = _run(session, runtime, request, target(host, port))
    check_status(status)


def _request(
    image: LoadedImage, command: tuple[str, ...], options: _Options, weights: Mounts
) -> ContainerRequest:
    return request_for(
        image,
        command,
        options.gpus,
        publish=((options.host, options.port, _PORT),),
        reach_host=bool(options.upload_url) or options.playground,
        read_only=weights,
    )


def _command(options: _Options) -> tuple[str, ...]:
    return (*_SERVER, *(("--upload-url", options.upload_url) if options.upload_url else ()))


def _run_watched(
    session: Session, runtime: Runtime, image: LoadedImage, options: _Options, page: Playground | None
) -> int:
    """Serve an image, and those that come after it, whose server starts anew when the source changes."""
    from cog_nix.cli.watching import Plan, Watching, watched  # noqa: PLC0415 - only who watches needs it

    url = target(options.host, options.port)
    command = watched(_command(options)[len(_PYTHON) :])
    plan = Plan(options.config_file, options.use_cog_base_image, options.update_lock, options.platform)
    notice = page.notice if page else _nothing
    with Watching(session, runtime, image, plan, notice) as watching:
        session.reporter.info("Watching the project: an edit of its source restarts the model\n")
        following: LoadedImage | None = image
        status: int | None = 0
        while following:
            with (
                following.mounted(in_project=True) as weights,
                started(session, runtime, _request(following, command, options, weights)) as container,
            ):
                watching.serves(container)
                try:
                    status = _attached(container, url)
                finally:
                    watching.serves(None)
                if status is None:
                    return 0
            following = watching.take_next()
    return status or 0


def _nothing(_text: str) -> None:
    """Tell nobody: there is no page."""


def _run(session: Session, runtime: Runtime, request: ContainerRequest, url: str) -> int:
    with started(session, runtime, request) as container:
        return _attached(container, url) or 0


def _attached(container: InteractiveContainer, url: str) -> int | None:
    """Return the status that a server ends with by itself; None: it was told to end."""
    try:
        return container.attach(own_streams(stdin=False))
    except (KeyboardInterrupt, SystemExit):
        _shut_down(url)  # it was told to wait for this, and would ignore SIGTERM
        return None


def _shut_down(url: str) -> None:
    import httpx  # noqa: PLC0415 - 0.1 s that nobody should wait for before the model is up

    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/shutdown", timeout=2, trust_env=False)


def _playground(host: str, port: int, playground_port: int) -> Playground:
    """Return a playground that listens on all interfaces: containers' webhooks come from other addresses."""
    settings = Settings(_ALL, playground_port, target(host, port))
    page = None if playground_port == port else Playground(settings)
    if page is None or page.port == port:
        raise ConfigError(
            f"playground port {port} must differ from the model port {port}",
            hint="Choose another --playground-port; 0 takes a free one.",
        )
    return page


def _check_address(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise FlagError(
            "--host",
            "this is not an IP address.",
            host,
            hint=f"Use {LOOPBACK}, or 0.0.0.0 for all interfaces.",
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
