"""Page tokens: good for the list, the tenant and the filters that they were made for, and for nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import admin_pb2, credits_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.page_token import SIZE_DEFAULT, PageTokens

TENANT, OTHER = new_uuid(), new_uuid()
TOKENS = PageTokens.derive(b"s" * 32)


def listing(token: str = "", size: int = 2, user: str = "ada") -> credits_pb2.ListAccountsRequest:
    return credits_pb2.ListAccountsRequest(page_token=token, page_size=size, user_id=user)


def token_behind(*cursor: str | int) -> str:
    _, token = TOKENS.paging(TENANT, listing()).cut("abc", lambda _: cursor)
    return token


def assert_refused(tokens: PageTokens, request: credits_pb2.ListAccountsRequest) -> None:
    with pytest.raises(TrunklineError) as caught:
        tokens.paging(TENANT, request)
    assert caught.value.reason is Reason.PAGE_TOKEN_INVALID
    assert caught.value.violations[0].field == "page_token"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=50) | st.integers(-(2**63), 2**63 - 1), max_size=4))
def test_a_cursor_comes_back_as_it_was(cursor: Sequence[str | int]) -> None:
    assert TOKENS.paging(TENANT, listing(token_behind(*cursor))).cursor == list(cursor)


def test_the_first_page_has_no_cursor_and_the_last_no_token() -> None:
    paging = TOKENS.paging(TENANT, listing())
    assert paging.cursor is None
    assert paging.limit == 3
    assert paging.cut("abc", lambda row: (row,))[0] == "ab"
    assert paging.cut("ab", lambda row: (row,)) == ("ab", "")
    assert paging.cut("", lambda row: (row,)) == ("", "")


def test_the_cursor_is_that_of_the_last_row_of_the_page() -> None:
    _, token = TOKENS.paging(TENANT, listing()).cut("abc", lambda row: (row,))
    assert TOKENS.paging(TENANT, listing(token)).cursor == ["b"]


def test_a_size_of_zero_is_the_default() -> None:
    assert TOKENS.paging(TENANT, listing(size=0)).size == SIZE_DEFAULT


def test_the_size_may_change_from_page_to_page() -> None:
    assert TOKENS.paging(TENANT, listing(token_behind("b"), size=7)).size == 7


@given(st.data())
def test_no_changed_character_is_taken(data: st.DataObject) -> None:
    token = token_behind("a", 1)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != token[place]))
    assert_refused(TOKENS, listing(token[:place] + other + token[place + 1 :]))


@pytest.mark.parametrize("token", ["x", "é", "====", "A" * 1024, "\0", urlsafe_b64encode(b"[1]").decode()])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert_refused(TOKENS, listing(token))


def test_a_second_spelling_of_a_token_is_refused() -> None:
    token = token_behind("b")
    assert urlsafe_b64decode(f"{token}\n") == urlsafe_b64decode(token)
    assert_refused(TOKENS, listing(f"{token}\n"))


def test_another_tenant_filter_list_key_or_subject_is_refused() -> None:
    token = token_behind("b")
    assert_refused(TOKENS, listing(token, user="bob"))
    assert_refused(PageTokens.derive(b"t" * 32), listing(token))
    for tenant_id, request, beside in (
        (OTHER, listing(token), ()),
        (TENANT, admin_pb2.ListApiKeysRequest(page_token=token, page_size=2), ()),
        (TENANT, listing(token), (OTHER,)),
    ):
        with pytest.raises(TrunklineError) as caught:
            TOKENS.paging(tenant_id, request, *beside)
        assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


def test_the_key_is_not_shown() -> None:
    assert "key" not in repr(TOKENS)
