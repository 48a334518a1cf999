"""API keys as text, and their hashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core import api_key


def test_a_key_survives_its_text() -> None:
    key = api_key.make("live")
    assert api_key.parse(key.text) == key


def test_the_text_has_the_documented_parts() -> None:
    prefix, environment, key_id, secret, checksum = api_key.make("test").text.split("_")
    assert (prefix, environment) == ("tl", "test")
    assert (len(key_id), len(secret), len(checksum)) == (12, 43, 6)


def test_a_new_secret_keeps_the_id() -> None:
    old = api_key.make("live")
    new = api_key.make("live", old.key_id)
    assert new.key_id == old.key_id
    assert new.secret != old.secret


def test_the_secret_does_not_show_in_its_representation() -> None:
    key = api_key.make("live")
    assert key.secret not in repr(key)


@pytest.mark.parametrize("place", [3, 10, 30, 60, 69])
def test_one_wrong_character_is_no_key(place: int) -> None:
    text = api_key.make("live").text
    wrong = "x" if text[place] != "x" else "y"
    assert api_key.parse(text[:place] + wrong + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "tl", "' OR '1'='1", "tl_live__", "Bearer x", "tl_live_" + "a" * 12 + "_" + "b" * 43 + "_000000"]
)
def test_what_is_no_key(text: str) -> None:
    assert api_key.parse(text) is None


@pytest.mark.parametrize("addition", ["\n", " ", "\0", "x", "٣"])
def test_nothing_may_follow_a_key(addition: str) -> None:
    assert api_key.parse(api_key.make("live").text + addition) is None


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    parsed = api_key.parse(text)
    assert parsed is None or parsed.text == text


def test_the_hash_depends_on_pepper_and_secret() -> None:
    hashes = {api_key.hash_secret(pepper, secret) for pepper in (b"p", b"q") for secret in ("a", "b")}
    assert len(hashes) == 4
    assert api_key.same_hash(api_key.hash_secret(b"p", "a"), api_key.hash_secret(b"p", "a"))
    assert not api_key.same_hash(api_key.hash_secret(b"p", "a"), b"")
