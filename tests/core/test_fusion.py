"""Lists put together by places."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline_server.core.collections.fusion import fused

A, B, C = (UUID(int=number) for number in range(3))


def test_what_stands_in_both_lists_wins() -> None:
    told = fused([A, B], [C, B])
    assert list(told) == [B, A, C]
    assert told[B] == pytest.approx(2 / 62)


def test_one_list_stays_as_it_is() -> None:
    assert list(fused([C, A, B], [])) == [C, A, B]
