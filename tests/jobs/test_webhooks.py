"""Webhooks to real sockets: signed, at least once under one id, by the schedule, and never to forbidden places."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator

import grpc
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.duration_pb2 import Duration
from standardwebhooks import Webhook, WebhookVerificationError

from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of
from tests.fixtures.jobs import create, ended, spec
from tests.fixtures.sinks import attempted, deliveries, endpoint, gateway_to, let_pass, send_test, verified
from tests.fixtures.until import until
from tests.fixtures.upstream import CLOSE, Upstream
from trunkline.v1 import admin_pb2, events_pb2, jobs_pb2, webhooks_pb2
from trunkline_server.core import ids
from trunkline_server.core.webhook import PAUSES_S
from trunkline_server.store.webhook_deliveries import Sent

DELIVERED = webhooks_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
FAILED = webhooks_pb2.WEBHOOK_DELIVERY_STATE_FAILED
WAITING = webhooks_pb2.WEBHOOK_DELIVERY_STATE_WAITING


@pytest.fixture
async def sink() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        server.respond(lambda _: server.whole(status=204))
        yield server


@pytest.fixture
async def gateway(start_gateway: StartGateway, sink: Upstream) -> RunningGateway:
    """One that may post to the sink."""
    return await gateway_to(start_gateway, sink)


async def test_events_arrive_signed_once_each_in_a_form_that_the_public_library_reads(
    gateway: RunningGateway, sink: Upstream
) -> None:
    made = await endpoint(gateway, f"{sink.url}/hooks", "JobStateChanged")
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    await until(lambda: len(sink.requests) == 3)
    events = [verified(request, made.secret) for request in sink.requests]
    assert {event.job_state_changed.state for event in events} == {1, 3, 10}
    assert {event.job_state_changed.job_id for event in events} == {job.job_id}
    assert len({event.event_id for event in events}) == 3
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(sink.requests[0].body + b" ", dict(sink.requests[0].headers))

    async def all_told() -> bool:
        return [each.state for each in await deliveries(gateway)] == [DELIVERED] * 3

    await until(all_told)


async def test_only_the_types_that_were_asked_for_are_sent(gateway: RunningGateway, sink: Upstream) -> None:
    await endpoint(gateway, sink.url, "BatchProgress")
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    happened = events_pb2.Event(batch_progress=events_pb2.BatchProgress(batch_id="batch_1"))
    tenant_id = await gateway.house.background.database.fetchval("SELECT tenant_id FROM tenant")
    await gateway.house.background.outbox.emit(tenant_id, happened)
    await until(lambda: bool(sink.requests))
    assert [each.type for each in await deliveries(gateway)] == ["BatchProgress"]


async def test_an_endpoint_with_a_key_pair_is_verified_with_its_public_half(
    gateway: RunningGateway, sink: Upstream
) -> None:
    request = webhooks_pb2.CreateEndpointRequest(uri=sink.url, types=["WebhookTested"], with_key_pair=True)
    made = await gateway.webhooks.CreateEndpoint(request, metadata=gateway.metadata())
    turn = webhooks_pb2.RotateSecretRequest(endpoint_id=made.endpoint.endpoint_id)
    rotated = await gateway.webhooks.RotateSecret(turn, metadata=gateway.metadata())
    assert made.secret == rotated.secret == ""
    await send_test(gateway, made.endpoint.endpoint_id)
    await until(lambda: bool(sink.requests))
    headers, body = sink.requests[0].headers, sink.requests[0].body
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    new, old = (each.removeprefix("v1a,") for each in headers["webhook-signature"].split())
    for endpoint_, signature in ((rotated.endpoint, new), (made.endpoint, old)):
        key = Ed25519PublicKey.from_public_bytes(b64decode(endpoint_.public_key.removeprefix("whpk_")))
        key.verify(b64decode(signature), signed)
        with pytest.raises(InvalidSignature):
            key.verify(b64decode(signature), signed + b" ")


async def test_during_a_rotation_both_secrets_sign_and_then_only_the_new_one(
    gateway: RunningGateway, sink: Upstream
) -> None:
    made = await endpoint(gateway, sink.url)
    endpoint_id = made.endpoint.endpoint_id
    request = webhooks_pb2.RotateSecretRequest(endpoint_id=endpoint_id)
    rotated = await gateway.webhooks.RotateSecret(request, metadata=gateway.metadata())
    assert rotated.secret.startswith("whsec_")
    await send_test(gateway, endpoint_id)
    await until(lambda: len(sink.requests) == 1)
    assert len(sink.requests[0].headers["webhook-signature"].split()) == 2
    assert verified(sink.requests[0], made.secret) == verified(sink.requests[0], rotated.secret)
    await let_pass(gateway, "25 hours")
    await send_test(gateway, endpoint_id)
    await until(lambda: len(sink.requests) == 2)
    verified(sink.requests[1], rotated.secret)
    with pytest.raises(WebhookVerificationError):
        verified(sink.requests[1], made.secret)


async def test_a_secret_is_shown_once_and_lies_sealed(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    listed = await gateway.webhooks.ListEndpoints(webhooks_pb2.ListEndpointsRequest(), metadata=gateway.metadata())
    assert [each.endpoint_id for each in listed.endpoints] == [made.endpoint.endpoint_id]
    assert made.secret not in str(listed)
    lies = await gateway.house.background.database.fetchval("SELECT secret FROM webhook_endpoint")
    assert made.secret.removeprefix("whsec_").encode() not in lies


async def test_a_secret_that_cannot_be_read_holds_up_nobody_else(gateway: RunningGateway, sink: Upstream) -> None:
    broken, sound = await endpoint(gateway, f"{sink.url}/broken"), await endpoint(gateway, f"{sink.url}/sound")
    database = gateway.house.background.database
    spoiled = ids.parse("whep", broken.endpoint.endpoint_id)
    await database.execute("UPDATE webhook_endpoint SET secret = 'spoiled' WHERE endpoint_id = $1", spoiled)
    await send_test(gateway, broken.endpoint.endpoint_id)
    assert (await attempted(gateway)).error == "SECRET_UNREADABLE"
    await send_test(gateway, sound.endpoint.endpoint_id)
    await until(lambda: [request.path for request in sink.requests] == ["/sound"])


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_what_is_not_taken_comes_again_under_the_same_id_with_the_same_body(
    gateway: RunningGateway, sink: Upstream, status: int
) -> None:
    made = await endpoint(gateway, sink.url)
    sink.reply(status=status, headers={"location": f"{sink.url}/elsewhere"})
    await send_test(gateway, made.endpoint.endpoint_id)
    first = await attempted(gateway)
    assert (first.state, first.http_status, first.error) == (WAITING, status, "HTTP_STATUS")
    await let_pass(gateway, "6 seconds")
    second = await attempted(gateway, 2)
    assert (second.state, second.http_status) == (DELIVERED, 204)
    one, other = sink.requests
    assert (one.body, one.headers["webhook-id"]) == (other.body, other.headers["webhook-id"])
    assert other.path == "/"


async def test_the_whole_schedule_then_given_up_then_sent_again_by_hand(
    gateway: RunningGateway, sink: Upstream
) -> None:
    made = await endpoint(gateway, sink.url)
    sink.respond(lambda _: sink.whole(status=500))
    delivery = await send_test(gateway, made.endpoint.endpoint_id)
    for attempt, pause_s in enumerate(PAUSES_S, 1):
        assert (await attempted(gateway, attempt)).state == WAITING
        await let_pass(gateway, f"{pause_s * 0.89} seconds")
        assert len(sink.requests) == attempt
        await let_pass(gateway, f"{pause_s * 0.22} seconds")
    last = await attempted(gateway, 10)
    assert last.state == FAILED
    assert len({request.headers["webhook-id"] for request in sink.requests}) == 1
    sink.respond(lambda _: sink.whole(status=200))
    request = webhooks_pb2.RedeliverRequest(delivery_id=delivery.delivery_id)
    again = await gateway.webhooks.Redeliver(request, metadata=gateway.metadata())
    assert again.delivery_count == 1
    await until(lambda: len(sink.requests) == 11)
    assert sink.requests[10].body == sink.requests[0].body


async def test_410_disables_the_endpoint_and_is_told(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    sink.reply(status=410)
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).state == FAILED
    assert (await only_endpoint(gateway)).disabled_reason == "GONE"
    assert (await told_types(gateway))[-1] == "WebhookEndpointDisabled"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send_test(gateway, made.endpoint.endpoint_id)
    assert reason_of(refused.value) == "VALIDATION"


async def test_five_days_of_failures_disable_it_and_one_success_between_does_not(
    gateway: RunningGateway, sink: Upstream
) -> None:
    made = await endpoint(gateway, sink.url)
    sink.respond(lambda _: sink.whole(status=500))
    await send_test(gateway, made.endpoint.endpoint_id)
    await attempted(gateway)
    await let_pass(gateway, "119 hours")
    await attempted(gateway, 2)
    assert (await only_endpoint(gateway)).enabled
    sink.reply(status=200)
    await send_test(gateway, made.endpoint.endpoint_id)
    await attempted(gateway)
    assert not (await only_endpoint(gateway)).HasField("failing_since_time")
    await let_pass(gateway, "1 hour")
    await until(lambda: len(sink.requests) == 4)

    async def fails() -> bool:
        return (await only_endpoint(gateway)).HasField("failing_since_time")

    await until(fails)
    await let_pass(gateway, "121 hours")

    async def disabled() -> bool:
        return (await only_endpoint(gateway)).disabled_reason == "FAILING"

    await until(disabled)


async def test_429_is_obeyed_by_all_that_goes_there(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    sink.reply(status=429, headers={"retry-after": "3600"})
    await send_test(gateway, made.endpoint.endpoint_id)
    await attempted(gateway)
    other = await send_test(gateway, made.endpoint.endpoint_id)
    await let_pass(gateway, "59 minutes")
    assert [each.state for each in await deliveries(gateway)] == [WAITING, WAITING]
    assert len(sink.requests) == 1
    await let_pass(gateway, "2 minutes")
    await until(lambda: len(sink.requests) == 3)
    assert other.event_id in {request.headers["webhook-id"] for request in sink.requests[1:]}


async def test_a_date_that_nobody_can_reckon_with_is_none(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    sink.reply(status=503, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"})
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).error == "HTTP_STATUS"


async def test_a_slow_one_a_broken_one_and_a_flood_fail_without_harm(
    gateway: RunningGateway, sink: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await endpoint(gateway, sink.url)
    object.__setattr__(gateway.house.background.hooks.egress._timeouts, "total_s", 0.3)
    sink.hang()
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).error == "TIMEOUT"
    monkeypatch.undo()
    object.__setattr__(gateway.house.background.hooks.egress._timeouts, "total_s", 15.0)
    sink.raw(CLOSE)
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).error == "URL_NOT_ALLOWED"
    flood = sink.stream([b"x" * 65536] * 1000)
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).state == DELIVERED
    await flood.client_left()


async def test_at_most_four_are_on_their_way_to_one_endpoint(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    hung = [sink.hang() for _ in range(4)]
    for _ in range(6):
        await send_test(gateway, made.endpoint.endpoint_id)
    for each in hung:
        await each.asked()
    hooks = gateway.house.background.hooks
    assert await hooks.deliveries.claim(10, 4, 30) == []
    assert len(sink.requests) == 4
    sink.hang_up()
    await until(lambda: len(sink.requests) == 6)


async def test_a_sender_that_lost_its_lease_writes_nothing(start_gateway: StartGateway, sink: Upstream) -> None:
    gateway = await gateway_to(start_gateway, sink, jobs={"worker": "false"})
    hooks = gateway.house.background.hooks
    made = await endpoint(gateway, sink.url)
    await send_test(gateway, made.endpoint.endpoint_id)
    (stale,) = await hooks.deliveries.claim(10, 4, 30)
    assert await hooks.deliveries.claim(10, 4, 30) == []
    await let_pass(gateway, "31 seconds")
    (fresh,) = await hooks.deliveries.claim(10, 4, 30)
    assert (stale.delivery_id, stale.body, stale.event_id) == (fresh.delivery_id, fresh.body, fresh.event_id)
    assert not await hooks.deliveries.finish(stale, Sent(ok=False))
    assert await hooks.deliveries.finish(fresh, Sent(ok=True, http_status=200))
    assert not await hooks.deliveries.finish(fresh, Sent(ok=False))
    assert (await deliveries(gateway))[0].state == DELIVERED


async def test_two_senders_make_one_delivery_of_an_event(start_gateway: StartGateway, sink: Upstream) -> None:
    gateway = await gateway_to(start_gateway, sink)
    await gateway_to(start_gateway, sink)
    await endpoint(gateway, sink.url, "JobStateChanged")
    jobs = [await create(gateway, spec()) for _ in range(5)]
    await asyncio.gather(*(ended(gateway, job.job_id) for job in jobs))
    await until(lambda: len(sink.requests) == 15)
    assert len({request.headers["webhook-id"] for request in sink.requests}) == 15
    assert len(await deliveries(gateway)) == 15


@pytest.mark.parametrize("uri", ["https://127.0.0.1/x", "http://example.com/x", "https://10.0.0.1/", "ftp://a.b/", ""])
async def test_addresses_that_must_not_be_dialled_are_refused(gateway: RunningGateway, uri: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await endpoint(gateway, uri)
    assert reason_of(refused.value) == "URL_NOT_ALLOWED"


async def test_an_address_is_judged_again_when_it_is_dialled(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    database = gateway.house.background.database
    await database.execute("UPDATE webhook_endpoint SET uri = $1", f"https://127.0.0.1:{sink.port + 1}/")
    await send_test(gateway, made.endpoint.endpoint_id)
    assert (await attempted(gateway)).error == "URL_NOT_ALLOWED"
    assert sink.requests == []


async def test_a_job_tells_its_own_address_of_its_states_and_its_progress(
    gateway: RunningGateway, sink: Upstream
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, spec(), callback_uri=sink.url)
    assert reason_of(refused.value) == "VALIDATION"
    request = webhooks_pb2.CreateEndpointRequest(for_callbacks=True)
    signer = await gateway.webhooks.CreateEndpoint(request, metadata=gateway.metadata())
    with pytest.raises(grpc.aio.AioRpcError) as second:
        await gateway.webhooks.CreateEndpoint(request, metadata=gateway.metadata())
    assert reason_of(second.value) == "RESOURCE_EXISTS"
    job = await create(gateway, spec(), callback_uri=f"{sink.url}/mine", callback_progress=True)
    await create(gateway, spec())
    await until(lambda: len(sink.requests) == 4)
    events = [verified(each, signer.secret) for each in sink.requests]
    assert {each.path for each in sink.requests} == {"/mine"}
    states = {event.job_state_changed.state for event in events if event.type == "JobStateChanged"}
    assert states == {jobs_pb2.JOB_STATE_QUEUED, jobs_pb2.JOB_STATE_RUNNING, jobs_pb2.JOB_STATE_SUCCEEDED}
    (progress,) = [event.job_progressed for event in events if event.type == "JobProgressed"]
    assert (progress.job_id, progress.fraction, progress.message) == (job.job_id, 0.0, "asking sandbox/echo")


async def test_a_disabled_endpoint_gets_nothing_of_what_happened_meanwhile(
    gateway: RunningGateway, sink: Upstream
) -> None:
    made = await endpoint(gateway, sink.url, "JobStateChanged")
    await turn(gateway, made.endpoint.endpoint_id, enabled=False)
    await ended(gateway, (await create(gateway, spec())).job_id)
    await turn(gateway, made.endpoint.endpoint_id, enabled=True)
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    await until(lambda: len(sink.requests) == 3)
    assert {verified(each, made.secret).job_state_changed.job_id for each in sink.requests} == {job.job_id}


async def test_all_that_failed_since_then_is_sent_again(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    endpoint_id = made.endpoint.endpoint_id
    for _ in range(2):
        hung = sink.hang()
        await send_test(gateway, endpoint_id)
        await hung.asked()
    await turn(gateway, endpoint_id, enabled=False)
    assert [(each.state, each.error) for each in await deliveries(gateway)] == [(FAILED, "ENDPOINT_DISABLED")] * 2
    await turn(gateway, endpoint_id, enabled=True)
    request = webhooks_pb2.RedeliverRequest(failed=webhooks_pb2.RedeliverFailed(endpoint_id=endpoint_id))
    again = await gateway.webhooks.Redeliver(request, metadata=gateway.metadata())
    assert again.delivery_count == 2

    async def all_there() -> bool:
        return [each.state for each in await deliveries(gateway)] == [DELIVERED] * 2

    await until(all_there)


async def test_another_tenants_endpoint_and_deliveries_do_not_exist(gateway: RunningGateway, sink: Upstream) -> None:
    made = await endpoint(gateway, sink.url)
    delivery = await send_test(gateway, made.endpoint.endpoint_id)
    tenant = await gateway.admin.CreateTenant(admin_pb2.CreateTenantRequest(name="b"), metadata=gateway.metadata())
    ask = admin_pb2.CreateApiKeyRequest(name="all", scopes=["*"], tenant_id=tenant.tenant.tenant_id)
    key = (await gateway.admin.CreateApiKey(ask, metadata=gateway.metadata())).secret
    webhooks, metadata = gateway.webhooks, gateway.metadata(key=key)

    async def refused(call: grpc.aio.UnaryUnaryCall) -> str:  # type: ignore[type-arg]
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        return reason_of(error.value)

    listed = await webhooks.ListEndpoints(webhooks_pb2.ListEndpointsRequest(), metadata=metadata)
    assert not listed.endpoints
    sent = await webhooks.ListDeliveries(webhooks_pb2.ListDeliveriesRequest(), metadata=metadata)
    assert not sent.deliveries
    delete = webhooks_pb2.DeleteEndpointRequest(endpoint_id=made.endpoint.endpoint_id)
    assert await refused(webhooks.DeleteEndpoint(delete, metadata=metadata)) == "RESOURCE_NOT_FOUND"
    rotate = webhooks_pb2.RotateSecretRequest(endpoint_id=made.endpoint.endpoint_id, overlap=Duration(seconds=1))
    assert await refused(webhooks.RotateSecret(rotate, metadata=metadata)) == "RESOURCE_NOT_FOUND"
    again = webhooks_pb2.RedeliverRequest(delivery_id=delivery.delivery_id)
    assert await refused(webhooks.Redeliver(again, metadata=metadata)) == "RESOURCE_NOT_FOUND"


async def turn(gateway: RunningGateway, endpoint_id: str, *, enabled: bool) -> None:
    request = webhooks_pb2.UpdateEndpointRequest(endpoint_id=endpoint_id, enabled=enabled)
    await gateway.webhooks.UpdateEndpoint(request, metadata=gateway.metadata())


async def only_endpoint(gateway: RunningGateway) -> webhooks_pb2.WebhookEndpoint:
    listed = await gateway.webhooks.ListEndpoints(webhooks_pb2.ListEndpointsRequest(), metadata=gateway.metadata())
    (found,) = listed.endpoints
    return found


async def told_types(gateway: RunningGateway) -> list[str]:
    """Of all events until now."""
    rows = await gateway.house.background.database.fetch("SELECT type FROM event ORDER BY number")
    return [row[0] for row in rows]
