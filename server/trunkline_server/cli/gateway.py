"""The way to a gateway: where it is, which key opens it, and calls whose errors are told in one line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import click
import grpc

from trunkline_server.cli.dialling import Dialling
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.place import Place
from trunkline_server.cli.refusal import failure_of

CALL_TIMEOUT_S = 30.0
PAGE_SIZE = 200

P = ParamSpec("P")
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


class PageRequest(Protocol):
    """A request of any list."""

    page_size: int
    page_token: str


PageRequestT = TypeVar("PageRequestT", bound=PageRequest)


@dataclass(frozen=True)
class Gateway:
    """An open channel and what to send along."""

    channel: grpc.Channel
    key: str

    def metadata(self, user: str = "") -> tuple[tuple[str, str], ...]:
        """Who is calling."""
        sent = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if user:
            sent["x-trunkline-user"] = user
        return tuple(sent.items())

    def call(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, user: str = ""
    ) -> Response:
        """One short call."""
        return method(request, metadata=self.metadata(user), timeout=CALL_TIMEOUT_S)

    def pages(
        self, method: grpc.UnaryUnaryMultiCallable[PageRequestT, Response], request: PageRequestT, limit: int | None
    ) -> Iterator[Response]:
        """One answer for each page, until the last or until `limit` rows were asked for."""
        left = limit
        while left is None or left > 0:
            request.page_size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
            page: Any = self.call(method, request)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return
            left = None if left is None else left - request.page_size


def to_gateway(command: Callable[Concatenate[Gateway, P], Result]) -> Callable[..., Result]:
    """Gives a command the options that say where the gateway is, and the gateway they lead to as its first argument."""

    @click.option("--address", envvar="TRUNKLINE_ADDRESS", show_envvar=True, help="host:port, or https://host:port.")
    @click.option("--key", envvar="TRUNKLINE_API_KEY", show_envvar=True, help="API key.  [default: admin.key]")
    @click.option("--sign-as", envvar="TRUNKLINE_KEY_ID", show_envvar=True, metavar="ID", help="A key that signs.")
    @_file("--signing-key", "TRUNKLINE_SIGNING_KEY", "Its private key: each call is signed, and no key is sent.")
    @_file("--ca", "TRUNKLINE_CA", "Authorities to trust for TLS.  [default: the system's]")
    @_file("--cert", "TRUNKLINE_CERT", "Certificate to show, where the gateway asks for one.")
    @_file("--cert-key", "TRUNKLINE_CERT_KEY", "The certificate's key.")
    @functools.wraps(command)
    def with_gateway(  # noqa: PLR0917 - click hands them over by name
        address: str | None,
        key: str | None,
        sign_as: str | None,
        signing_key: Path | None,
        ca: Path | None,
        cert: Path | None,
        cert_key: Path | None,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result:
        place = Place.find(address, key)
        with _opened(place, Dialling(ca, cert, cert_key), sign_as, signing_key) as gateway:
            return command(gateway, *args, **kwargs)

    return with_gateway


def _file(name: str, variable: str, told: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(name, type=path, envvar=variable, show_envvar=True, metavar="FILE", help=told)


@contextmanager
def _opened(place: Place, dialling: Dialling, sign_as: str | None, signing_key: Path | None) -> Iterator[Gateway]:
    with dialling.open(place.address) as channel:
        try:
            yield _entered(channel, place.key, sign_as, signing_key)
        except grpc.RpcError as error:
            raise failure_of(error, place.address) from None
        except UnicodeError:
            raise Misuse("an argument or the input is not UTF-8 text") from None


def _entered(channel: grpc.Channel, key: str, sign_as: str | None, signing_key: Path | None) -> Gateway:
    if not (sign_as or signing_key):
        return Gateway(channel, key)
    from trunkline_server.cli.signing import signed  # noqa: PLC0415 - what it loads is for those who sign

    return Gateway(signed(channel, sign_as, signing_key), "")
