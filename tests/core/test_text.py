"""Texts that are kept."""

from __future__ import annotations

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.text import readable


@pytest.mark.parametrize("text", ["", "ada", "Ада \U0001f600", "' OR '1'='1", "x" * 10_000])
def test_what_can_be_read_is_kept_as_it_is(text: str) -> None:
    assert readable("name", text) == text


@pytest.mark.parametrize("text", ["\0", "a\0b", "a\n", "\t", "\x1b[0m", "\x7f"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        readable("name", text)
    assert caught.value.reason is Reason.VALIDATION
    assert caught.value.violations[0].field == "name"
