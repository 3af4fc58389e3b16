"""The Docker SDK, for all that nothing waits for: its import takes 0.2 s."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cog_nix.image.pieces import read
from cog_nix_hooks.docker.failures import DaemonError, NotDockerError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from cog_nix_hooks.docker.endpoint import Endpoint
    from cog_nix_hooks.docker.engine import Body, Transport


def sdk_client(endpoint: Endpoint) -> docker.APIClient:
    """Return the SDK's client for a daemon.

    Raises:
        RuntimeFailure: the daemon cannot be reached.
    """
    import docker  # noqa: PLC0415 - see the module's docstring
    from docker.tls import TLSConfig  # noqa: PLC0415 - as above

    class Client(docker.APIClient):
        """Heeds the daemon's own certificate authority, where requests would take REQUESTS_CA_BUNDLE."""

        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            verify = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, verify, cert)

    tls: TLSConfig | bool = False
    if endpoint.tls_dir:
        ca, cert, key = (str(endpoint.tls_dir / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        tls = TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=endpoint.tls_verify)
    path = endpoint.local_socket()
    try:
        return Client(base_url=f"unix://{path}" if path else endpoint.host, version="auto", tls=tls)
    except (docker.errors.DockerException, OSError) as error:
        raise UnreachableError(endpoint, error) from error


@contextmanager
def asking(client: docker.APIClient, endpoint: Endpoint) -> Iterator[None]:
    """Turn the SDK's errors into ours while a client is asked something; it is closed where one comes.

    Raises:
        DaemonError: the daemon refuses.
        RuntimeFailure: it does not answer, or something else does.
    """
    from docker.errors import APIError, DockerException  # noqa: PLC0415 - who has a client has imported it

    try:
        yield
    except BaseException as error:
        client.close()
        if isinstance(error, APIError):
            raise DaemonError(str(error.explanation or error), error.status_code or 0) from error
        if isinstance(error, ValueError | RecursionError):  # no JSON, or no sensible one
            raise NotDockerError(endpoint.host, error) from error
        if isinstance(error, DockerException | OSError):
            raise UnreachableError(endpoint, error) from error
        raise


def sdk_transport(client: docker.APIClient) -> Transport:
    """Return a transport over the SDK, which knows TCP and TLS."""

    def send(method: str, target: str, body: Body, headers: Mapping[str, str]) -> tuple[int, bytes]:
        url = f"{client.base_url}/v{client.api_version}{target}"
        data = body if body is None or isinstance(body, bytes) else read(body)
        response = client.request(method, url, data=data, headers=dict(headers))
        return response.status_code, response.content

    return send
