"""Executing actions over the socket: who is asked, what they get, what comes of it, and what has to be confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import Parse

from tests.fixtures.acts import USER, button, execute, form, happened, register, validate
from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of
from tests.fixtures.upstream import RESET, Upstream
from tests.providers.thirdparty.distribution import install, on_the_path
from trunkline.v1 import actions_pb2, admin_pb2
from trunkline_server.core.errors import store_unavailable
from trunkline_server.core.webhook import is_signed
from trunkline_server.gateway.actions.plugins import GROUP
from trunkline_server.store.outbox import Outbox

SUCCEEDED, FAILED = actions_pb2.ACTION_STATUS_SUCCEEDED, actions_pb2.ACTION_STATUS_FAILED
DECLINED = actions_pb2.ACTION_STATUS_DECLINED
DANGER = button("order.cancel", dangerous=True)
CITY = form(actions_pb2.FormField(name="city", label="City", required=True))
SOURCE = """
from trunkline.v1 import actions_pb2

async def greet(tenant_id, invocation):
    return actions_pb2.ActionAnswer(message=f"hello {invocation.user_id}", data_json='{"a": 1}')

async def broken(tenant_id, invocation):
    raise RuntimeError("a secret")
"""


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


async def test_an_address_gets_a_signed_invocation_and_says_what_came_of_it(
    desk: RunningGateway, clerk: Upstream
) -> None:
    made = await register(desk, "clerk", f"{clerk.url}/act")
    clerk.reply(json={"message": "done", "dataJson": '{"order": 7}', "unknown": 1})

    result = await execute(desk, CITY, '{"city": "Oslo"}', completion_id="cmpl_1")

    assert (result.status, result.message, result.data_json) == (SUCCEEDED, "done", '{"order": 7}')
    assert result.handler_id == made.handler.handler_id
    (request,) = clerk.requests
    invocation = Parse(request.body, actions_pb2.ActionInvocation())
    assert invocation == actions_pb2.ActionInvocation(
        execution_id=result.execution_id,
        action=CITY,
        arguments_json='{"city": "Oslo"}',
        user_id=USER,
        completion_id="cmpl_1",
    )
    sent = request.headers
    assert (request.method, request.path, sent["webhook-id"]) == ("POST", "/act", result.execution_id)
    assert is_signed(
        made.secret, sent["webhook-id"], int(sent["webhook-timestamp"]), request.body, sent["webhook-signature"]
    )
    assert made.secret not in str(made.handler)


async def test_what_was_done_is_answered_though_it_cannot_be_told(
    desk: RunningGateway, clerk: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise store_unavailable()

    await register(desk, "clerk", f"{clerk.url}/act")
    clerk.reply(json={"message": "done"})
    monkeypatch.setattr(Outbox, "emit", away)
    assert (await execute(desk, CITY, '{"city": "Oslo"}')).message == "done"


async def test_the_higher_priority_is_asked_first_and_who_declines_lets_the_next_one(
    desk: RunningGateway, clerk: Upstream
) -> None:
    await register(desk, "low", f"{clerk.url}/low", priority=-1)
    await register(desk, "high", f"{clerk.url}/high", priority=5)
    await register(desk, "none", f"{clerk.url}/none", priority=9, types=[actions_pb2.ACTION_TYPE_MENU])
    await register(desk, "other", f"{clerk.url}/other", priority=9, action_pattern="orders.*")
    clerk.reply(json={"status": "ACTION_STATUS_DECLINED"})
    clerk.reply()

    result = await execute(desk, button())

    assert result.status == SUCCEEDED
    assert [request.path for request in clerk.requests] == ["/high", "/low"]
    clerk.reply(json={"status": "ACTION_STATUS_DECLINED"})
    clerk.reply(json={"status": "ACTION_STATUS_DECLINED"})
    assert (await execute(desk, button())).status == DECLINED


async def test_what_a_handler_could_not_do_is_a_result_and_nobody_else_is_asked(
    desk: RunningGateway, clerk: Upstream
) -> None:
    await register(desk, "first", clerk.url, priority=1)
    await register(desk, "second", clerk.url)
    clerk.reply(status=500)
    clerk.reply(b"not json")
    clerk.reply(json={"dataJson": "{"})
    clerk.reply(json={"status": "ACTION_STATUS_FAILED", "errorReason": "SOLD_OUT", "message": "none left"})
    clerk.reply(status=302, headers={"location": "/elsewhere"})
    clerk.raw(RESET)

    results = [await execute(desk, button()) for _ in range(6)]

    assert {result.status for result in results} == {FAILED}
    reasons = [result.error_reason for result in results]
    invalid = "ANSWER_INVALID"
    assert reasons == ["HTTP_STATUS", invalid, invalid, "SOLD_OUT", "HTTP_STATUS", "UNREACHABLE"]
    assert len(clerk.requests) == 6


async def test_nobody_is_registered(desk: RunningGateway) -> None:
    assert await refused(execute(desk, button())) == "RESOURCE_NOT_FOUND"


async def test_arguments_that_do_not_fit_reach_nobody(desk: RunningGateway, clerk: Upstream) -> None:
    await register(desk, "clerk", clerk.url)
    assert await refused(execute(desk, CITY, '{"town": "Oslo"}')) == "VALIDATION"
    assert await refused(execute(desk, CITY, "[]")) == "VALIDATION"
    assert clerk.requests == []


async def test_the_same_request_id_executes_once(desk: RunningGateway, clerk: Upstream) -> None:
    await register(desk, "clerk", clerk.url)
    clerk.reply(json={"message": "once"})
    first = await execute(desk, button(), request_id="r1")
    assert await execute(desk, button(), request_id="r1") == first
    assert len(clerk.requests) == 1


async def test_private_addresses_are_refused_when_they_are_registered(desk: RunningGateway) -> None:
    for uri in ("https://10.0.0.1/", "http://example.com/", "https://localhost/", "ftp://example.com/"):
        assert await refused(register(desk, "bad", uri)) == "URL_NOT_ALLOWED"


# Confirming.


async def test_what_is_dangerous_needs_a_token_that_is_good_once(desk: RunningGateway, clerk: Upstream) -> None:
    await register(desk, "clerk", clerk.url)
    assert await refused(execute(desk, DANGER)) == "CONFIRMATION_REQUIRED"
    validated = await validate(desk, DANGER)
    assert (validated.valid, validated.needs_confirmation) == (True, True)
    clerk.reply()

    result = await execute(desk, DANGER, confirmation_token=validated.confirmation_token)

    assert result.status == SUCCEEDED
    again = execute(desk, DANGER, confirmation_token=validated.confirmation_token)
    assert await refused(again) == "CONFIRMATION_REQUIRED"
    assert len(clerk.requests) == 1


async def test_a_token_is_for_one_user_action_and_arguments(desk: RunningGateway, clerk: Upstream) -> None:
    await register(desk, "clerk", clerk.url, needs_confirmation=True)
    token = (await validate(desk, CITY, '{"city": "Oslo"}')).confirmation_token
    other = form(actions_pb2.FormField(name="city", label="Town", required=True))
    for attempt in (
        execute(desk, CITY, '{"city": "Rome"}', confirmation_token=token),
        execute(desk, CITY, '{"city":"Oslo"}', confirmation_token=token),
        execute(desk, other, '{"city": "Oslo"}', confirmation_token=token),
        execute(desk, CITY, '{"city": "Oslo"}', "eve", confirmation_token=token),
        execute(desk, CITY, '{"city": "Oslo"}', confirmation_token=token[:-4] + "AAA="),
        execute(desk, CITY, '{"city": "Oslo"}', confirmation_token="x"),
    ):
        assert await refused(attempt) == "CONFIRMATION_REQUIRED"
    clerk.reply()
    assert (await execute(desk, CITY, '{"city": "Oslo"}', confirmation_token=token)).status == SUCCEEDED


async def test_of_many_at_once_with_one_token_one_executes(desk: RunningGateway, clerk: Upstream) -> None:
    await register(desk, "clerk", clerk.url)
    token = (await validate(desk, DANGER)).confirmation_token
    clerk.respond(lambda _: Upstream.whole())

    attempts = [execute(desk, DANGER, confirmation_token=token) for _ in range(5)]
    ends = await asyncio.gather(*attempts, return_exceptions=True)

    assert sum(isinstance(end, actions_pb2.ActionResult) for end in ends) == 1
    assert len(clerk.requests) == 1


async def test_every_fault_is_told_and_no_token_is_given(desk: RunningGateway) -> None:
    wrong = form(
        actions_pb2.FormField(name="a", label="A", type=actions_pb2.FORM_FIELD_TYPE_CHOICE),
        actions_pb2.FormField(name="a", label="A", minimum=1),
    )
    wrong.dangerous = True
    told = await validate(desk, wrong)
    assert not told.valid
    assert not told.confirmation_token
    assert [fault.field for fault in told.faults] == [
        "action.form.fields[0].choices",
        "action.form.fields[1].name",
        "action.form.fields[1]",
    ]


# Code in our own process.


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with on_the_path(tmp_path / "site") as folder:
        yield folder


async def test_entry_points_execute(site: Path, start_gateway: StartGateway) -> None:
    entries = {"greet": "acme_actions:greet", "broken": "acme_actions:broken", "gone": "acme_actions:nothing"}
    install(site, "acme_actions", SOURCE, entries, GROUP)
    gateway = await start_gateway()
    await register(gateway, "greet", entry_point="greet", action_pattern="greet")
    await register(gateway, "broken", entry_point="broken", action_pattern="b*")

    greeted = await execute(gateway, button("greet"))
    failed = await execute(gateway, button("broken"))

    assert (greeted.status, greeted.message, greeted.data_json) == (SUCCEEDED, "hello ada", '{"a": 1}')
    assert (failed.status, failed.error_reason, failed.message) == (FAILED, "HANDLER_BROKEN", "")
    assert await refused(register(gateway, "gone", entry_point="gone")) == "VALIDATION"


# Handlers.


async def test_handlers_are_listed_in_order_and_forgotten(desk: RunningGateway, clerk: Upstream) -> None:
    for priority, name in ((1, "b"), (7, "a"), (1, "c")):
        await register(desk, name, clerk.url, priority=priority)
    assert await refused(register(desk, "a", clerk.url)) == "RESOURCE_EXISTS"
    names, token = [], ""
    for _ in range(3):
        request = actions_pb2.ListActionHandlersRequest(page_size=1, page_token=token)
        page = await desk.actions.ListActionHandlers(request, metadata=desk.metadata())
        names += [each.name for each in page.handlers]
        token, last = page.next_page_token, page.handlers[0]
    assert (names, token) == (["a", "b", "c"], "")

    forget = actions_pb2.DeleteActionHandlerRequest(handler_id=last.handler_id)
    await desk.actions.DeleteActionHandler(forget, metadata=desk.metadata())
    assert await refused(desk.actions.DeleteActionHandler(forget, metadata=desk.metadata())) == "RESOURCE_NOT_FOUND"


async def test_another_tenants_handlers_are_not_there(desk: RunningGateway, clerk: Upstream) -> None:
    made = await register(desk, "clerk", clerk.url)
    tenant = admin_pb2.CreateTenantRequest(name="other")
    other = (await desk.admin.CreateTenant(tenant, metadata=desk.metadata())).tenant
    wanted = admin_pb2.CreateApiKeyRequest(name="all", scopes=["*"], tenant_id=other.tenant_id)
    key = (await desk.admin.CreateApiKey(wanted, metadata=desk.metadata())).secret
    theirs = desk.metadata(key=key)

    listed = await desk.actions.ListActionHandlers(actions_pb2.ListActionHandlersRequest(), metadata=theirs)
    forget = actions_pb2.DeleteActionHandlerRequest(handler_id=made.handler.handler_id)
    run = actions_pb2.ExecuteActionRequest(action=button())

    assert not listed.handlers
    assert await refused(desk.actions.DeleteActionHandler(forget, metadata=theirs)) == "RESOURCE_NOT_FOUND"
    assert await refused(desk.actions.ExecuteAction(run, metadata=theirs)) == "RESOURCE_NOT_FOUND"
    assert clerk.requests == []


async def test_what_happens_is_told(desk: RunningGateway, clerk: Upstream) -> None:
    made = await register(desk, "clerk", clerk.url)
    await validate(desk, DANGER)
    clerk.reply()
    result = await execute(desk, button())

    (changed,) = await happened(desk, "ActionHandlerChanged")
    (validated,) = await happened(desk, "ActionValidated")
    (executed,) = await happened(desk, "ActionExecuted")

    assert changed.action_handler_changed.handler_id == made.handler.handler_id
    assert (validated.action_validated.name, validated.action_validated.token_given) == ("order.cancel", True)
    told = executed.action_executed
    assert (told.execution_id, told.status, told.user_id) == (result.execution_id, SUCCEEDED, USER)
