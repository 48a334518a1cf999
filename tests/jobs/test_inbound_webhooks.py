"""Webhooks of providers over HTTP: taken with the right signature alone, once, and a job is woken by its own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.jobs import create, spec
from tests.fixtures.upstream import Upstream
from trunkline_server import config
from trunkline_server.core.webhook import new_secret
from trunkline_server.edge.proofs import FETCH_EVERY_S, PublishedKeys
from trunkline_server.store.jobs import NOBODY, Caps
from trunkline_server.store.operations import Operations

SECRET, PLAIN = new_secret(), "quite secret"
BODY = json.dumps({"type": "video.completed", "data": {"id": "video_1"}}).encode()


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> RunningGateway:
    secrets = {"SANDBOX": SECRET, "FAL": PLAIN}
    environment = {f"TRUNKLINE_PROVIDERS__{name}__WEBHOOK_SECRET": secret for name, secret in secrets.items()}
    return await start_gateway(environment, jobs={"worker": "false"})


def standard(body: bytes = BODY, webhook_id: str = "wh_1", age_s: int = 0, secret: str = SECRET) -> dict[str, str]:
    stamp = int(time.time()) - age_s
    signature = Webhook(secret).sign(webhook_id, datetime.fromtimestamp(stamp, UTC), body.decode())
    return {"webhook-id": webhook_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}


def plain(body: bytes = BODY, age_s: int = 0, secret: str = PLAIN) -> dict[str, str]:
    stamp = str(int(time.time()) - age_s)
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-ai-timestamp": stamp, "x-ai-signature": f"sha256={digest}"}


async def post(gateway: RunningGateway, provider: str, headers: dict[str, str], body: bytes = BODY) -> int:
    """The status."""
    host, _, port = gateway.house.http_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    told = {"host": "gateway", "content-length": str(len(body)), "connection": "close", **headers}
    lines = [f"POST /webhooks/{provider} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def submitted(gateway: RunningGateway, operation: str) -> tuple[str, UUID]:
    """A job that waits for a provider."""
    made = await create(gateway, spec())
    [claimed] = await gateway.house.background.jobs.claim("default", NOBODY, 1, 30, Caps())
    operations = Operations(gateway.house.background.database)
    await operations.intend(claimed.id, claimed.lease_token)
    await operations.keep(claimed.id, claimed.lease_token, operation)
    return made.job_id, claimed.id


async def told(gateway: RunningGateway) -> list[dict[str, str]]:
    rows = await gateway.house.background.database.fetch("SELECT body::text FROM event WHERE type = 'WebhookReceived'")
    return [json.loads(row[0]) for row in rows]


async def test_a_webhook_wakes_its_job_and_is_told_once(gateway: RunningGateway) -> None:
    other, _ = await submitted(gateway, json.dumps({"id": "video_12"}))
    job_id, uuid = await submitted(gateway, json.dumps({"id": "video_1"}))
    hooks = gateway.house.background.hooks
    pause = asyncio.ensure_future(hooks.wakes.pause_of(uuid)(60))
    await asyncio.sleep(0)
    headers = standard()
    assert [await post(gateway, "sandbox", headers) for _ in range(2)] == [200, 200]
    await asyncio.wait_for(pause, 10)
    assert await told(gateway) == [
        {
            "provider": "sandbox",
            "webhookId": "wh_1",
            "providerType": "video.completed",
            "operationId": "video_1",
            "jobId": job_id,
        }
    ]
    assert other != job_id
    assert not hooks.wakes._news


async def test_a_job_that_waits_in_its_queue_is_due_at_once(gateway: RunningGateway) -> None:
    _, uuid = await submitted(gateway, "video_1")
    database = gateway.house.background.database
    later = "UPDATE job SET state = 'delayed', leased_until = NULL, run_at = now() + interval '1 hour' WHERE id = $1"
    await database.execute(later, uuid)
    assert await post(gateway, "sandbox", standard()) == 200
    assert await database.fetchval("SELECT run_at <= now() FROM job WHERE id = $1", uuid)


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("sandbox", {}),
        ("sandbox", standard(secret=new_secret())),
        ("sandbox", standard(BODY + b" ")),
        ("sandbox", standard(age_s=3000)),
        ("sandbox", standard(age_s=-3000)),
        ("sandbox", {**standard(), "webhook-id": "wh_2"}),
        ("sandbox", {**standard(), "webhook-timestamp": "now"}),
        ("sandbox", plain()),
        ("fal", plain(secret="guess")),
        ("fal", plain(age_s=3000)),
        ("fal", standard()),
    ],
)
async def test_what_is_not_signed_by_the_provider_is_refused(
    gateway: RunningGateway, provider: str, headers: dict[str, str]
) -> None:
    await submitted(gateway, "video_1")
    assert await post(gateway, provider, headers) == 401
    assert await told(gateway) == []


async def test_the_plain_signature(gateway: RunningGateway) -> None:
    assert await post(gateway, "fal", plain()) == 200
    nonsense = b"[1, 2"
    assert await post(gateway, "fal", plain(nonsense), nonsense) == 400
    odd = b'{"id": 7, "type": {"a": 1}, "data": []}'
    assert await post(gateway, "fal", plain(odd), odd) == 200


def published(key: Ed25519PrivateKey) -> dict[str, object]:
    x = urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}, {"kty": "OKP", "crv": "Ed25519", "x": x}]}


def fals(key: Ed25519PrivateKey, body: bytes = BODY, age_s: int = 0, **other: str) -> dict[str, str]:
    told = {"request-id": "req_1", "user-id": "user_1", "timestamp": str(int(time.time()) - age_s)}
    signature = key.sign("\n".join([*told.values(), hashlib.sha256(body).hexdigest()]).encode()).hex()
    return {f"x-fal-webhook-{name}": value for name, value in {**told, "signature": signature, **other}.items()}


@pytest.fixture
async def fals_gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With FAL's keys published at `upstream`."""
    hosts = json.dumps([f"127.0.0.1:{upstream.port}"])
    return await start_gateway(
        {"TRUNKLINE_PROVIDERS__FAL__WEBHOOK_KEYS_URI": f"{upstream.url}/jwks.json"},
        jobs={"worker": "false"},
        egress={"allow_http_hosts": hosts, "allow_private_hosts": hosts},
    )


async def test_a_signature_with_a_key_that_is_published(fals_gateway: RunningGateway, upstream: Upstream) -> None:
    key = Ed25519PrivateKey.generate()
    upstream.respond(lambda _: upstream.whole(json=published(key)))
    body = json.dumps({"request_id": "fal_1", "status": "OK", "payload": {}}).encode()
    status = "https://queue.fal.run/fal-ai/veo/requests/fal_1/status"
    job_id, uuid = await submitted(fals_gateway, json.dumps({"operation": json.dumps({"status": status})}))
    await fals_gateway.house.background.database.execute("UPDATE job SET provider = 'fal' WHERE id = $1", uuid)
    good = fals(key, body)
    assert [await post(fals_gateway, "fal", good, body) for _ in range(2)] == [200, 200]
    assert [each["jobId"] for each in await told(fals_gateway)] == [job_id]
    bad = [
        fals(Ed25519PrivateKey.generate(), body),
        fals(key, body + b" "),
        fals(key, body, age_s=3000),
        {**good, "x-fal-webhook-user-id": "user_2"},
        fals(key, body, signature="no hex"),
        {},
        plain(body),
    ]
    assert [await post(fals_gateway, "fal", each, body) for each in bad] == [401] * len(bad)
    assert len(upstream.requests) == 1


async def test_keys_that_cannot_be_had_are_no_refusal(fals_gateway: RunningGateway, upstream: Upstream) -> None:
    key = Ed25519PrivateKey.generate()
    upstream.reply(b"no keys")
    assert await post(fals_gateway, "fal", fals(key)) == 503


async def test_new_keys_are_looked_for_where_none_fits() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = [json.dumps(published(old)).encode(), json.dumps(published(new)).encode()]

    async def fetch() -> bytes:
        return keys.pop(0)

    proof = PublishedKeys(fetch)
    for key in (old, new):
        assert (await proof.read(fals(key).__getitem__, BODY, time.time())).webhook_id == "req_1"
        proof._fetched_at -= FETCH_EVERY_S + 1


async def test_providers_without_a_secret_have_no_path_and_bodies_have_a_limit(gateway: RunningGateway) -> None:
    assert await post(gateway, "openai", standard()) == 404
    big = b" " * (256 * 1024 + 1)
    assert await post(gateway, "sandbox", standard(big), big) == 413


async def test_what_was_taken_is_forgotten_after_its_time(gateway: RunningGateway) -> None:
    hooks, database = gateway.house.background.hooks, gateway.house.background.database
    assert await post(gateway, "sandbox", standard()) == 200
    (chore,) = [each for each in hooks.chores() if each.name == "purge_inbound_webhooks"]
    await chore.work()
    assert await database.fetchval("SELECT count(*) FROM inbound_webhook") == 1
    await database.execute("UPDATE inbound_webhook SET create_time = now() - interval '4 days'")
    await chore.work()
    assert await database.fetchval("SELECT count(*) FROM inbound_webhook") == 0


def test_two_ways_to_prove_it_stop_the_start() -> None:
    given = {"WEBHOOK_SECRET": "x", "WEBHOOK_KEYS_URI": "https://keys.example.com"}
    with pytest.raises(config.ConfigError, match=r"providers\.fal"):
        config.load({f"TRUNKLINE_PROVIDERS__FAL__{name}": value for name, value in given.items()})


def test_a_secret_that_is_none_stops_the_start() -> None:
    with pytest.raises(config.ConfigError, match=r"providers\.openai\.webhook_secret"):
        config.load({"TRUNKLINE_PROVIDERS__OPENAI__WEBHOOK_SECRET": "whsec_!"})
