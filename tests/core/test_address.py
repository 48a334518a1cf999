"""Which addresses of callers are fetched at all."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.address import EgressPolicy, forbidden, parse
from trunkline_server.core.errors import Reason, TrunklineError


def words(text: str) -> list[str]:
    return text.split()


PUBLIC = EgressPolicy()
OPEN = EgressPolicy(allow_http_hosts={"plain.example", "127.0.0.1:8080"}, allow_private_hosts={"127.0.0.1:8080"})

REFUSED = words("""
https://127.1/ https://2130706433/ https://0x7f000001/ https://017700000001/ https://0/ https://[::]/ https://[::1]/
https://[::ffff:7f00:1]/ https://[::ffff:8.8.8.8]/ https://127。0。0。1/ https://\uff11\uff12\uff17.0.0.1/ https://①②⑦.0.0.1/
https://127.0.0.1/ https://127.0.0.1./ https://0177.0.0.1/ https://0x7f.1/ https://1.2.3.4.5/ https://256.1.1.1/
https://user@127.0.0.1/ https://user:word@example.com/ https://@example.com/ https://example.com:6379/
https://example.com:80/ http://example.com/ http://example.com:443/ https://example.com:0/ https://example.com:99999/
file:///etc/passwd gopher://example.com/ ftp://example.com/ data:text/plain,x javascript:1 //example.com/ example.com
https:/example.com https:// https:///path https://?x https://example.com/#part https://example.com/#
https://localhost/ https://LOCALHOST/ https://localhost./ https://a.localhost/ https://printer.local/ https://metadata/
https://metadata.google.internal/ https://METADATA.google.internal./ https://db.svc/ https://x.svc.cluster.local/
https://169.254.169.254/latest https://[fd00:ec2::254]/ https://100.100.100.200/ https://168.63.129.16/
https://192.0.0.192/ https://10.0.0.1/ https://172.16.0.1/ https://192.168.1.1/ https://100.64.0.1/ https://0.0.0.0/
https://224.0.0.1/ https://255.255.255.255/ https://[64:ff9b::7f00:1]/ https://[2002:7f00:1::]/ https://[::127.0.0.1]/
https://[fe80::1]/ https://[fe80::1%25eth0]/ https://[2606:4700::1%25eth0]/ https://[ff02::1]/ https://[::1 https://::1/
https://exa\\mple.com/ https://example.com\\@127.0.0.1/ https://ex%61mple.com/ https://example..com/ https://-a.com/
https://example.com/<x> https://example.com/ä https://.com/
""")


@pytest.mark.parametrize(
    "url", [*REFUSED, "", " https://example.com/", "https://example.com/\r\nx", "https://a b.com/"]
)
def test_refused(url: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        parse(url, "input.url", PUBLIC)
    assert caught.value.reason is Reason.URL_NOT_ALLOWED
    assert [violation.field for violation in caught.value.violations] == ["input.url"]


ACCEPTED = {
    "https://example.com": "https://example.com/",
    "HTTPS://EXAMPLE.com.:443/a/b?c=d%20e": "https://example.com/a/b?c=d%20e",
    "https://example.com?x=1": "https://example.com/?x=1",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://8.8.8.8/x": "https://8.8.8.8/x",
    "https://[2606:4700:0::1111]/": "https://[2606:4700::1111]/",
    "https://a_b.example.com/@/:": "https://a_b.example.com/@/:",
    "https://example.com:/x:y@127.0.0.1:70000/": "https://example.com/x:y@127.0.0.1:70000/",  # all of that is path
}


@pytest.mark.parametrize(("url", "normal"), ACCEPTED.items())
def test_normal_form(url: str, normal: str) -> None:
    address = parse(url, "url", PUBLIC)
    assert address.url == normal
    assert parse(address.url, "url", PUBLIC) == address


@pytest.mark.parametrize("url", ["http://plain.example/", "https://plain.example/", "http://127.0.0.1:8080/x"])
def test_what_the_operator_allows(url: str) -> None:
    assert parse(url, "url", OPEN).url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://127.0.0.1:8081/", "http://plain.example:8080/"])
def test_what_the_operator_does_not_allow(url: str) -> None:
    with pytest.raises(TrunklineError):
        parse(url, "url", OPEN)


def test_networks_of_the_operator_are_denied() -> None:
    policy = EgressPolicy(deny_networks=(ip_network("8.8.8.0/24"),))
    assert not policy.permits(ip_address("8.8.8.8"), "dns.example", 443)
    assert policy.permits(ip_address("8.8.4.4"), "dns.example", 443)


BLOCKS = words("""
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/96
::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7
fe80::/10 fec0::/10 ff00::/8
""")


@given(st.sampled_from(BLOCKS), st.data())
def test_every_number_of_a_forbidden_block(block: str, data: st.DataObject) -> None:
    network = ip_network(block)
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    assert forbidden(network.network_address + offset)


@pytest.mark.parametrize("ip", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_public_numbers(ip: str) -> None:
    assert not forbidden(ip_address(ip))


@given(st.text(max_size=60), st.sampled_from(["", "https://", "https://example.com"]))
def test_any_text_is_parsed_or_refused(text: str, start: str) -> None:
    try:
        address = parse(start + text, "url", PUBLIC)
    except TrunklineError:
        return
    assert (address.scheme, address.port) == ("https", 443)
    assert address.url.isascii()
    assert parse(address.url, "url", PUBLIC) == address
