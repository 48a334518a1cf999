"""Tenants' own keys and aliases, where they meet chains and breakers: what goes wrong stays with its tenant."""

from __future__ import annotations

from tests.fixtures.fleet import CHAIN, Fleet, StartFleet
from tests.fixtures.model_calls import alias, model
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, chat_pb2, providers_pb2

BYOK_INVALID = Refusal("FAILED_PRECONDITION", "BYOK_INVALID")
NO_BREAKER = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
OWN = "sk-own"


async def another_tenant(fleet: Fleet) -> str:
    """An API key of it."""
    admin, metadata = fleet.gateway.admin, fleet.gateway.metadata()
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="acme"), metadata=metadata)).tenant
    request = admin_pb2.CreateApiKeyRequest(name="all", scopes=["*"], tenant_id=tenant.tenant_id)
    return (await admin.CreateApiKey(request, metadata=metadata)).secret


async def keep(fleet: Fleet, key: str) -> str:
    """The account with a key of the tenant's own at the first provider."""
    request = providers_pb2.CreateProviderAccountRequest(provider="openai", name="main", api_key=OWN)
    metadata = fleet.gateway.metadata(key=key)
    return (await fleet.gateway.providers.CreateProviderAccount(request, metadata=metadata)).account.account_id


async def provider_of(fleet: Fleet, key: str = "", name: str = CHAIN[0]) -> str:
    """Who answers."""
    request = chat_pb2.CompleteRequest(input=fleet.question(name))
    return (await fleet.gateway.chat.Complete(request, metadata=fleet.gateway.metadata(key=key))).completion.provider


async def openai_health(fleet: Fleet) -> providers_pb2.ProviderHealth:
    request = providers_pb2.GetProviderRequest(name="openai")
    return (await fleet.gateway.providers.GetProvider(request, metadata=fleet.gateway.metadata())).provider.health


async def test_no_other_key_goes_in_place_of_one_that_is_refused(fleet: Fleet) -> None:
    acme = await another_tenant(fleet)
    account_id = await keep(fleet, acme)
    fleet.ships[0].refuse(OWN, 401)
    for _ in range(5):
        assert await refusal(provider_of(fleet, acme)) == BYOK_INVALID
    assert fleet.asked == [5, 0, 0]
    assert await provider_of(fleet) == "openai"
    request = providers_pb2.RotateProviderAccountRequest(account_id=account_id, api_key="sk-better")
    await fleet.gateway.providers.RotateProviderAccount(request, metadata=fleet.gateway.metadata(key=acme))
    assert await provider_of(fleet, acme) == "openai"


async def test_an_own_account_that_is_spent_moves_each_call(fleet: Fleet) -> None:
    acme = await another_tenant(fleet)
    await keep(fleet, acme)
    fleet.ships[0].refuse(OWN, 402)
    assert [await provider_of(fleet, acme) for _ in range(3)] == ["anthropic"] * 3
    assert fleet.asked[0] == 3
    assert await provider_of(fleet) == "openai"


async def test_what_fails_with_an_own_key_shuts_nobody_else_out(fleet: Fleet) -> None:
    acme = await another_tenant(fleet)
    await keep(fleet, acme)
    fleet.ships[0].refuse(OWN, 500)
    assert [await provider_of(fleet, acme) for _ in range(8)] == ["anthropic"] * 8
    assert fleet.asked[0] == 5
    assert await provider_of(fleet) == "openai"
    health = await openai_health(fleet)
    states = {breaker.state for breaker in health.breakers}
    assert (health.attempt_count, health.failure_count, states) == (1, 0, {providers_pb2.BREAKER_STATE_CLOSED})


async def test_breakers_of_an_own_key_are_its_tenants(fleet: Fleet) -> None:
    acme = await another_tenant(fleet)
    providers, mine, all_ = fleet.gateway.providers, fleet.gateway.metadata(key=acme), fleet.gateway.metadata()
    nothing_yet = providers_pb2.ResetBreakerRequest(name="openai", own=True)
    assert await refusal(providers.ResetBreaker(nothing_yet, metadata=mine)) == NO_BREAKER
    await keep(fleet, acme)
    fleet.ships[0].refuse(OWN, 500)
    assert [await provider_of(fleet, acme) for _ in range(6)] == ["anthropic"] * 6
    request = providers_pb2.GetProviderRequest(name="openai")
    provider = (await providers.GetProvider(request, metadata=mine)).provider
    opened = [each for each in provider.own_health.breakers if each.state == providers_pb2.BREAKER_STATE_OPEN]
    assert [(each.name, each.own) for each in opened] == [(CHAIN[0], True)]
    assert (provider.own_health.failure_count, provider.health.failure_count) == (5, 0)
    assert not any(each.own for each in provider.health.breakers)
    assert not (await providers.GetProvider(request, metadata=all_)).provider.HasField("own_health")
    reset = providers_pb2.ResetBreakerRequest(name=CHAIN[0], own=True)
    assert await refusal(providers.ResetBreaker(reset, metadata=all_)) == NO_BREAKER
    fleet.ships[0].well()
    assert await provider_of(fleet, acme) == "anthropic"
    told = (await providers.ResetBreaker(reset, metadata=mine)).breaker
    assert (told.name, told.own, told.state) == (CHAIN[0], True, providers_pb2.BREAKER_STATE_CLOSED)
    assert await provider_of(fleet, acme) == "openai"
    await providers.OpenBreaker(providers_pb2.OpenBreakerRequest(name="openai", own=True), metadata=mine)
    assert [await provider_of(fleet, acme), await provider_of(fleet)] == ["anthropic", "openai"]


async def test_other_replicas_hear_of_a_tenants_breakers(start_fleet: StartFleet) -> None:
    """Of nobody else's, though the provider and the model are the same."""
    fleet, replica = await start_fleet(), await start_fleet()
    acme = await another_tenant(fleet)
    await keep(fleet, acme)
    await until(lambda: uses_own_key(replica, acme), 5)

    async def tells(state: providers_pb2.BreakerState.ValueType) -> bool:
        request = providers_pb2.GetProviderRequest(name="openai")
        metadata = replica.gateway.metadata(key=acme)
        provider = (await replica.gateway.providers.GetProvider(request, metadata=metadata)).provider
        return (CHAIN[0], state) in [(each.name, each.state) for each in provider.own_health.breakers]

    fleet.ships[0].refuse(OWN, 500)
    assert [await provider_of(fleet, acme) for _ in range(6)] == ["anthropic"] * 6
    await until(lambda: tells(providers_pb2.BREAKER_STATE_HALF_OPEN), 5)
    assert {each.state for each in (await openai_health(replica)).breakers} <= {providers_pb2.BREAKER_STATE_CLOSED}
    mine = fleet.gateway.metadata(key=acme)
    opening = providers_pb2.OpenBreakerRequest(name=CHAIN[0], own=True)
    await fleet.gateway.providers.OpenBreaker(opening, metadata=mine)
    await until(lambda: tells(providers_pb2.BREAKER_STATE_OPEN), 5)
    assert [await provider_of(replica, acme), await provider_of(replica)] == ["anthropic", "openai"]
    fleet.ships[0].well()
    await fleet.gateway.providers.ResetBreaker(
        providers_pb2.ResetBreakerRequest(name=CHAIN[0], own=True), metadata=mine
    )
    await until(lambda: tells(providers_pb2.BREAKER_STATE_CLOSED), 5)
    assert await provider_of(replica, acme) == "openai"


async def uses_own_key(fleet: Fleet, key: str) -> bool:
    """Whether this replica has heard of the tenant's account."""
    await provider_of(fleet, key)
    return OWN in fleet.ships[0].upstream.requests[-1].headers["authorization"]


async def test_only_operators_shut_a_provider_for_all(fleet: Fleet) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="keys", scopes=["providers:*", "chat:*"])
    key = (await fleet.gateway.admin.CreateApiKey(request, metadata=fleet.gateway.metadata())).secret
    metadata = fleet.gateway.metadata(key=key)
    opening = providers_pb2.OpenBreakerRequest(name="openai")
    forbidden = Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "own")
    assert await refusal(fleet.gateway.providers.OpenBreaker(opening, metadata=metadata)) == forbidden
    assert await provider_of(fleet, key) == "openai"


async def test_a_test_of_an_own_account_says_nothing_about_the_provider(fleet: Fleet) -> None:
    acme = await another_tenant(fleet)
    account_id = await keep(fleet, acme)
    fleet.ships[0].refuse(OWN, 401)
    request = providers_pb2.TestProviderRequest(name="openai", account_id=account_id)
    told = await fleet.gateway.providers.TestProvider(request, metadata=fleet.gateway.metadata(key=acme))
    assert told.failure_kind == "AUTH"
    assert (await openai_health(fleet)).attempt_count == 0


async def test_an_alias_is_a_chain(fleet: Fleet) -> None:
    await alias(fleet.gateway, "smart", CHAIN[2], "claude-haiku-4-5", CHAIN[1])
    assert await provider_of(fleet, name="smart") == "gemini"
    fleet.ships[2].down()
    assert await provider_of(fleet, name="smart") == "anthropic"
    fleet.ships[1].down()
    assert (await refusal(provider_of(fleet, name="smart"))).reason == "PROVIDERS_EXHAUSTED"
    assert fleet.asked[0] == 0


async def test_an_alias_can_be_a_fallback_and_have_some(fleet: Fleet) -> None:
    await alias(fleet.gateway, "smart", CHAIN[2])
    fleet.ships[0].down()
    request = chat_pb2.CompleteRequest(input=fleet.question(fallback_models=["smart"]))
    completion = (await fleet.gateway.chat.Complete(request, metadata=fleet.gateway.metadata())).completion
    assert completion.provider == "gemini"
    await alias(fleet.gateway, "first", CHAIN[0])
    assert await provider_of(fleet, name="first") == "anthropic"


async def test_what_one_key_may_not_use_stays_in_the_alias_for_others(fleet: Fleet) -> None:
    await alias(fleet.gateway, "smart", CHAIN[0], CHAIN[1])
    request = admin_pb2.CreateApiKeyRequest(name="a", scopes=["*"], allowed_models=[CHAIN[1]])
    narrow = (await fleet.gateway.admin.CreateApiKey(request, metadata=fleet.gateway.metadata())).secret
    assert await provider_of(fleet, narrow, "smart") == "anthropic"
    assert (await model(fleet.gateway, "smart", narrow)).name == CHAIN[1]
    assert await provider_of(fleet, name="smart") == "openai"
