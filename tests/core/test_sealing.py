"""A seal opens with its key, at its place, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from trunkline_server.core.ids import new_uuid
from trunkline_server.core.sealing import KEY_BYTES, KeyRing, Place, SealBroken, new_key, seal, unseal

PLACE = Place(new_uuid(), "provider_account", "api_key", "7", 1)
SECRET = b"sk-canary"


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    key = new_key()
    one, other = seal(key, SECRET, PLACE), seal(key, SECRET, PLACE)
    assert unseal(key, one, PLACE) == unseal(key, other, PLACE) == SECRET
    assert one != other
    assert SECRET not in one
    assert len(key) == KEY_BYTES


@pytest.mark.parametrize(
    "elsewhere",
    [{"tenant_id": UUID(int=7)}, {"table": "other"}, {"column": "other"}, {"row": "8"}, {"key_version": 2}],
    ids=str,
)
def test_it_does_not_open_elsewhere(elsewhere: dict[str, Any]) -> None:
    key = new_key()
    with pytest.raises(SealBroken):
        unseal(key, seal(key, SECRET, PLACE), replace(PLACE, **elsewhere))


def test_it_does_not_open_with_another_key_or_changed() -> None:
    key = new_key()
    sealed = seal(key, SECRET, PLACE)
    changed = [
        bytes([sealed[at] ^ 1 if at == place else sealed[at] for at in range(len(sealed))])
        for place in (0, 12, -1 % len(sealed))
    ]
    for given, content in [(new_key(), sealed), *((key, each) for each in (*changed, sealed[:-1], b"", b"short"))]:
        with pytest.raises(SealBroken) as caught:
            unseal(given, content, PLACE)
        assert str(caught.value) == ""


def test_the_newest_key_wraps_and_all_unwrap() -> None:
    first = KeyRing.of({}, b"installation")
    second = KeyRing.of({3: new_key(), 12: new_key()}, b"installation")
    place = replace(PLACE, key_version=0)
    wrapped = first.wrap(SECRET, place)
    assert (first.newest, second.newest) == (0, 12)
    assert second.unwrap(wrapped, place) == SECRET
    with pytest.raises(SealBroken):
        KeyRing.of({}, b"another installation").unwrap(wrapped, place)
    with pytest.raises(SealBroken):
        first.unwrap(wrapped, replace(place, key_version=12))


def test_no_key_is_shown() -> None:
    ring = KeyRing.of({1: b"k" * 32}, b"installation")
    assert "kkk" not in repr(ring)
