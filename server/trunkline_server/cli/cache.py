"""`trunkline cache`: how the response cache does, forgetting, and asking beforehand."""

from __future__ import annotations

from datetime import timedelta
from typing import TextIO

import click

from trunkline.v1 import admin_pb2, admin_pb2_grpc, chat_pb2, chat_pb2_grpc, content_pb2
from trunkline_server.cli.duration import Duration, told
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import as_json_option, show


@click.group("cache")
def command() -> None:
    """See how the response cache does, purge it, and warm it."""


@command.command("stats")
@click.option("--provider", default="", help="Only this provider's.")
@click.option("--model", default="", help="Only this model's.")
@as_json_option
@to_gateway
def stats(gateway: Gateway, /, *, provider: str, model: str, as_json: bool) -> None:
    """List how often kept answers helped, by model, since the replica started."""
    request = admin_pb2.GetCacheStatsRequest(provider=provider, model=model)
    answer = gateway.call(admin_pb2_grpc.AdminServiceStub(gateway.channel).GetCacheStats, request)
    show(answer.stats, _COLUMNS, as_json=as_json)


@command.command("purge")
@click.option("--provider", default="", help="Only this provider's.")
@click.option("--model", default="", help="Only this model of the provider.")
@to_gateway
def purge(gateway: Gateway, /, *, provider: str, model: str) -> None:
    """Forget kept answers of the tenant, on every replica."""
    request = admin_pb2.PurgeCacheRequest(provider=provider, model=model)
    answer = gateway.call(admin_pb2_grpc.AdminServiceStub(gateway.channel).PurgeCache, request)
    click.echo(f"{answer.purged_count} forgotten")


@command.command("warm")
@click.argument("prompts", type=click.File(encoding="utf-8"))
@click.option("--model", default="sandbox/echo", show_default=True, help="Who is asked.")
@click.option("--ttl", type=Duration(), help="How long the answers are fresh.  [default: as configured]")
@to_gateway
def warm(gateway: Gateway, /, *, prompts: TextIO, model: str, ttl: timedelta | None) -> None:
    """Ask every line of the file PROMPTS, and keep the answers. The calls are charged like others."""
    policy = chat_pb2.CachePolicy(mode=chat_pb2.CACHE_MODE_REFRESH, ttl=told(ttl))
    stub, count = chat_pb2_grpc.ChatServiceStub(gateway.channel), 0
    for line in filter(None, map(str.strip, prompts)):
        gateway.call(stub.Complete, chat_pb2.CompleteRequest(input=_question(line, model, policy)))
        count += 1
    click.echo(f"{count} kept")


def _question(text: str, model: str, policy: chat_pb2.CachePolicy) -> chat_pb2.ChatInput:
    part = content_pb2.Part(text=content_pb2.TextPart(text=text))
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[part])
    return chat_pb2.ChatInput(model=model, messages=[message], cache=policy)


_COLUMNS = {
    "MODEL": lambda stats: f"{stats.provider}/{stats.model}",
    "HITS": lambda stats: str(stats.hit_count),
    "MISSES": lambda stats: str(stats.miss_count),
    "STALE": lambda stats: str(stats.stale_count),
    "KEPT": lambda stats: str(stats.entry_count),
    "BYTES": lambda stats: str(stats.entry_bytes),
}
