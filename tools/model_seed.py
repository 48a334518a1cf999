"""The package genai-prices in our words: its models of the providers we have, their names and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from genai_prices import data, types

from trunkline_server.core import clause as clauses
from trunkline_server.core.clause import Clause
from trunkline_server.core.model import ModelEntry, digest
from trunkline_server.core.money import NANOS
from trunkline_server.core.pricing import BEGINNING, FREE, PER_UNITS, Price, Tier, tier_at

LIMITS: Final[dict[str, int]] = msgspec.json.decode(Path(__file__).with_name("limits.json").read_bytes())

# Our provider, the seed's, and how models begin that the seed lists and our address does not serve (Vertex AI does).
SEEDS: Final = (
    ("anthropic", "anthropic", ""),
    ("cohere", "cohere", ""),
    ("gemini", "google", "claude-"),
    ("groq", "groq", ""),
    ("mistral", "mistral", ""),
    ("openai", "openai", ""),
    ("openrouter", "openrouter", ""),
    ("xai", "x-ai", ""),
)
ROUTER: Final = "huggingface"  # one address before many providers: `model` goes to any of them, `model:provider` to one
ROUTER_POLICIES: Final = ("", ":fastest", ":cheapest", ":preferred")
FREE_NAME: Final = ":free"
BUILT_IN: Final = "built-in"

# The seed's name of a price, ours, and how many of our units the seed's number is for.
UNITS: Final = {
    "input_mtok": ("input", 1_000_000),
    "cache_read_mtok": ("cached_input", 1_000_000),
    "cache_write_mtok": ("cache_write", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "input_audio_mtok": ("input_audio", 1_000_000),
    "cache_audio_read_mtok": ("cached_audio", 1_000_000),
    "output_audio_mtok": ("output_audio", 1_000_000),
    "input_image_mtok": ("input_image", 1_000_000),
    "cache_image_read_mtok": ("cached_image", 1_000_000),
    "output_image_mtok": ("output_image", 1_000_000),
    "input_video_mtok": ("input_video", 1_000_000),
    "output_video_mtok": ("output_video", 1_000_000),
    "input_mchars": ("characters", 1_000_000),
    "audio_hours": ("audio_ms", 3_600_000),
    "input_audio_hours": ("audio_ms", 3_600_000),
    "input_document_kpages": ("pages", 1_000),
    "input_annotated_document_kpages": ("annotated_pages", 1_000),
    "input_text_messages_kcount": ("messages", 1_000),
    "web_searches_kcount": ("searches", 1_000),
    "storage_searches_kcount": ("storage_searches", 1_000),
    "requests_kcount": ("request", 1_000),
}
LEAVES: Final[dict[type, type[clauses.Leaf]]] = {
    types.ClauseEquals: clauses.Equals,
    types.ClauseStartsWith: clauses.StartsWith,
    types.ClauseEndsWith: clauses.EndsWith,
    types.ClauseContains: clauses.Contains,
    types.ClauseRegex: clauses.Regex,
}


def seeded() -> list[ModelEntry]:
    """Everything that the seed knows of the providers we have."""
    providers = {provider.id: provider for provider in data.providers}
    direct = (
        entry(ours, model)
        for ours, theirs, foreign in SEEDS
        for model in providers[theirs].models
        if not (foreign and model.id.startswith(foreign))
    )
    return [*direct, *routed(providers.values())]


def entry(provider: str, model: types.ModelInfo) -> ModelEntry:
    name, match = named(model.id, clause(model.match))
    return ModelEntry(
        provider=provider,
        model=name,
        display_name=model.name or name,
        match=match if match != clauses.Equals(name) else None,
        context_window=model.context_window or 0,
        max_output_tokens=limit(name),
        prices=free_price() if name.endswith(FREE_NAME) else prices(model),
    )


def named(model_id: str, match: Clause) -> tuple[str, Clause]:
    """A name that means the model: a few of the seed's ids are not among the names that it would match."""
    spelled, patterns = clauses.names(match)
    if match.matches(model_id):
        return model_id, match
    return (spelled[0], match) if spelled else (model_id, clauses.Or((clauses.Equals(model_id), *patterns)))


def clause(logic: Any) -> Clause:
    if isinstance(logic, types.ClauseOr):
        return clauses.Or(tuple(map(clause, logic.or_)))
    if isinstance(logic, types.ClauseAnd):
        return clauses.And(tuple(map(clause, logic.and_)))
    (text,) = vars(logic).values()
    return LEAVES[type(logic)](text)


def limit(model: str) -> int:
    """The longest answer, from our own table: the longest beginning that ends where a word of the name ends."""
    name = model.rpartition("/")[2]
    fitting = [
        prefix for prefix in LIMITS if name == prefix or name.startswith((f"{prefix}-", f"{prefix}@", f"{prefix}:"))
    ]
    return LIMITS[max(fitting, key=len)] if fitting else 0


def dated(day: date, tiers: tuple[Tier, ...], source: str = BUILT_IN) -> Price:
    return Price(f"{day}/{digest(tiers)}", day, tiers, source=source)


def free_price() -> tuple[Price, ...]:
    return (dated(BEGINNING, (Tier(0, dict(FREE)),)),)


def prices(model: types.ModelInfo) -> tuple[Price, ...]:
    """The seed's prices by day. Where it has several for one day, by the time of day, the dearer counts."""
    rows = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    by_day: dict[date, tuple[Tier, ...]] = {}
    for row in rows:
        day = row.constraint.start_date if isinstance(row.constraint, types.StartDateConstraint) else BEGINNING
        if priced := tiers(row.prices):
            by_day[day] = dearer(by_day[day], priced) if day in by_day else priced
    return tuple(dated(day, by_day[day]) for day in sorted(by_day))


def tiers(price: types.ModelPrice) -> tuple[Tier, ...]:
    """The prices by number of input tokens, each tier whole. The seed's tiers begin above their start, ours at it."""
    told = {key: value for key, value in vars(price).items() if value is not None}
    starts = {
        tier.start + 1 for value in told.values() if isinstance(value, types.TieredPrices) for tier in value.tiers
    }
    return tuple(Tier(start, units(told, start)) for start in sorted({0, *starts})) if told else ()


def units(told: dict[str, Decimal | types.TieredPrices], input_tokens: int) -> dict[str, int]:
    """Raises KeyError for a unit that we do not know: better no update than a price that is never charged."""
    return {UNITS[key][0]: nanos(at(value, input_tokens), UNITS[key][1]) for key, value in told.items()}


def at(price: Decimal | types.TieredPrices, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if input_tokens > tier.start), price.base)


def nanos(usd: Decimal, per: int) -> int:
    """Nano-USD for 1,000,000, rounded up."""
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * NANOS * PER_UNITS // (denominator * per))


def dearer(left: tuple[Tier, ...], right: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Unit by unit the higher of two prices."""
    starts = sorted({tier.from_input_tokens for tier in (*left, *right)})
    pairs = [(start, tier_at(left, start), tier_at(right, start)) for start in starts]
    return tuple(Tier(start, {unit: higher(unit, a, b) for unit in {**a.units, **b.units}}) for start, a, b in pairs)


def higher(unit: str, left: Tier, right: Tier) -> int:
    return max(rate for rate in (left.rate(unit), right.rate(unit)) if rate is not None)


# Hugging Face.


def routed(providers: Iterable[types.Provider]) -> Iterator[ModelEntry]:
    """`model:provider` at that provider's price, and `model` at the dearest of them: the router chooses."""
    anywhere: dict[str, list[ModelEntry]] = {}
    for provider in providers:
        router, _, target = provider.id.partition("_")
        for model in provider.models if router == ROUTER else ():
            one = msgspec.structs.replace(entry(ROUTER, model), match=None)
            anywhere.setdefault(one.model, []).append(one)
            yield msgspec.structs.replace(one, model=f"{one.model}:{target}")
    yield from (chosen_by_router(model, entries) for model, entries in anywhere.items())


def chosen_by_router(model: str, entries: Sequence[ModelEntry]) -> ModelEntry:
    days = sorted({price.effective_from for each in entries for price in each.prices})
    return msgspec.structs.replace(
        entries[0],
        match=clauses.Or(tuple(clauses.Equals(model + policy) for policy in ROUTER_POLICIES)),
        context_window=min((each.context_window for each in entries if each.context_window), default=0),
        prices=tuple(dated(day, dearest_on(day, entries)) for day in days),
    )


def dearest_on(day: date, entries: Iterable[ModelEntry]) -> tuple[Tier, ...]:
    first, *others = (price.tiers for each in entries if (price := each.price_on(day)))
    for other in others:
        first = dearer(first, other)
    return first
