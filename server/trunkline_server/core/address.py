"""Addresses that callers give: which ones may be fetched at all, judged by spelling and, once resolved, by number."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

import idna

from trunkline_server.core.errors import Reason, TrunklineError, invalid

Ip: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_URL_CHARS_MAX = 4096
_PORTS = {"https": 443, "http": 80}
_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "svc", "onion")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# what `is_global` lets pass on some version of Python, and what answers for a cloud's own services
_FORBIDDEN: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the operator allows beyond public https, and forbids beyond the rules.

    A listed host is `host` or `host:port` in lower case; only the second form opens a port other than 80 and 443.
    """

    allow_http_hosts: AbstractSet[str] = frozenset()
    allow_private_hosts: AbstractSet[str] = frozenset()
    deny_networks: tuple[Network, ...] = ()

    def permits(self, ip: Ip, host: str, port: int) -> bool:
        """Whether a connection to `host` may go to `ip`."""
        if _listed(self.allow_private_hosts, host, port):
            return True
        return not forbidden(ip) and not any(ip in network for network in self.deny_networks)


@dataclass(frozen=True, slots=True)
class Address:
    """An address in normal form: ASCII host in lower case, explicit port."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        return f"{self.origin}{self.target}"

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse(url: str, field: str, policy: EgressPolicy) -> Address:
    """The address in `url`, or the one error for all that is not allowed; `field` names it in the caller's request."""
    try:
        return _address(_split(url), policy)
    except ValueError:
        raise not_allowed(field) from None


def beyond(address: Address, location: str, field: str, policy: EgressPolicy) -> Address:
    """Where a redirect leads, which is judged like any address."""
    try:
        url = urljoin(address.url, location)
    except ValueError:
        raise not_allowed(field) from None
    return parse(url, field, policy)


def not_allowed(field: str) -> TrunklineError:
    """One answer for what is forbidden and what cannot be reached, so that nobody can map a network with it."""
    return invalid(field, "the address is not allowed or cannot be reached", Reason.URL_NOT_ALLOWED)


def forbidden(ip: Ip) -> bool:
    """Whether a number belongs to anything but the public internet."""
    return not ip.is_global or any(ip in network for network in _FORBIDDEN)


def _split(url: str) -> SplitResult:
    if len(url) > _URL_CHARS_MAX or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
        raise ValueError("not the characters of a url")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or "@" in parts.netloc or "#" in url:
        raise ValueError("not a plain web address")
    return parts


def _address(parts: SplitResult, policy: EgressPolicy) -> Address:
    host = _host(parts.hostname or "")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if not _port_is_allowed(parts.scheme, host, port, policy):
        raise ValueError("not an allowed port")
    if not _host_is_allowed(host, port, policy):
        raise ValueError("not a public host")
    return Address(parts.scheme, host, port, _target(parts))


def _port_is_allowed(scheme: str, host: str, port: int, policy: EgressPolicy) -> bool:
    if scheme == "http" and not _listed(policy.allow_http_hosts, host, port):
        return False
    return port == _PORTS[scheme] or f"{host}:{port}" in policy.allow_http_hosts | policy.allow_private_hosts


def _host_is_allowed(host: str, port: int, policy: EgressPolicy) -> bool:
    if _listed(policy.allow_private_hosts, host, port):
        return True
    ip = _ip(host)
    return policy.permits(ip, host, port) if ip else "." in host and not _is_local_name(host)


def _is_local_name(host: str) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES)


def _host(host: str) -> str:
    """The host as it will be looked up; anything that some resolver could read as a number must be one in full."""
    if ":" in host:
        return _ip6(host).compressed
    name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a host name")
    return str(IPv4Address(name)) if _NUMBER.fullmatch(labels[-1]) else name


def _ip6(host: str) -> IPv6Address:
    ip = IPv6Address(host)
    if ip.scope_id:
        raise ValueError("a zone has no place in a url")
    return ip


def _ip(host: str) -> Ip | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _target(parts: SplitResult) -> str:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        raise ValueError("not encoded")
    return target


def _listed(hosts: AbstractSet[str], host: str, port: int) -> bool:
    return host in hosts or f"{host}:{port}" in hosts
