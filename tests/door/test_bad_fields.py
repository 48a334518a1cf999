"""Every field of every request, with values from the edges of its type: answered or refused, never a fault."""

from __future__ import annotations

from collections import Counter
from typing import Final

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fixtures.gateway import RunningGateway, question, user
from tests.fixtures.nasty import variants
from tests.fixtures.refusal import refusal_of, send
from trunkline.v1 import (
    actions_pb2,
    admin_pb2,
    chat_pb2,
    content_pb2,
    credits_pb2,
    limits_pb2,
    models_pb2,
    providers_pb2,
    usage_pb2,
)
from trunkline_server.core import question as question_rules
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.contract import Contract
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.provider import Provider
from trunkline_server.store import reconciliation
from trunkline_server.store.database import Database

PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc00000030101"
    "00c9fe92ef0000000049454e44ae426082"
)
AMOUNT: Final = usage_pb2.Amount(unit="CREDIT", nanos=1)
RICH: Final = question("hello")
RICH.messages.insert(0, content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=user("be brief").parts, name="boss"))
RICH.messages[1].parts.add().image.blob.MergeFrom(content_pb2.Blob(data=PIXEL, media_type="image/png", filename="a"))
RICH.messages[1].parts.add().document.MergeFrom(content_pb2.DocumentPart(text="paper", title="title", context="c"))
RICH.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.MergeFrom(
    content_pb2.ToolCallPart(call_id="one", name="look", arguments_json='{"at": 1}')
)
RICH.messages[2].parts.add().reasoning.MergeFrom(content_pb2.ReasoningPart(text="hm", summaries=["h"]))
RICH.messages[2].parts.add().opaque.MergeFrom(content_pb2.OpaquePart(provider="sandbox", type="x", json="{}"))
RICH.messages[2].parts[1].provider_state.MergeFrom(
    content_pb2.ProviderState(provider="sandbox", model="echo", data=b"state", item_id="item")
)
RICH.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.MergeFrom(
    content_pb2.ToolResultPart(call_id="one", name="look", parts=user("seen").parts, structured_json="{}")
)
RICH.sampling.MergeFrom(chat_pb2.Sampling(temperature=1, max_output_tokens=5, candidate_count=1, stop_sequences=["."]))
RICH.reasoning.MergeFrom(chat_pb2.Reasoning(budget_tokens=1))
RICH.tools.add().function.MergeFrom(
    content_pb2.FunctionTool(name="look", description="looks", parameters_json_schema='{"type": "object"}')
)
RICH.tool_choice.mode = content_pb2.TOOL_CHOICE_MODE_NONE
RICH.routing.MergeFrom(chat_pb2.Routing(max_attempts=1, attempt_timeout=Duration(seconds=5)))
RICH.labels["team"] = "blue"
RICH.max_cost.MergeFrom(usage_pb2.Amount(unit="CREDIT", nanos=10**12))
KEPT: Final = question("hello", cache=chat_pb2.CachePolicy(ttl=Duration(seconds=5), allow_stale=True))
WHO: Final = limits_pb2.LimitSelector(user_id="*", key_id="*", provider="sandbox", model="*", team="blue")
SCHEMA: Final = question("hello", "sandbox/json")
SCHEMA.output_format.json_schema.MergeFrom(
    content_pb2.JsonSchemaFormat(name="shape", description="d", json_schema='{"type": "object"}')
)
CHOICE: Final = actions_pb2.ActionChoice(value="s", label="S")
ACTION: Final = actions_pb2.Action(
    action_id="a", name="order", label="Order", description="d", dangerous=True, payload_json="{}"
)
ACTION.form.fields.add(name="city", label="City", chars_max=5, pattern="^O", placeholder="p", required=True)
ACTION.form.fields.add(name="size", label="Size", type=actions_pb2.FORM_FIELD_TYPE_CHOICE, choices=[CHOICE])
MENU: Final = actions_pb2.Action(action_id="m", name="menu", label="Menu")
MENU.menu.MergeFrom(actions_pb2.MenuAction(choices=[CHOICE], chosen_min=1, chosen_max=1))
UPLOAD: Final = actions_pb2.Action(action_id="u", name="upload", label="Upload")
UPLOAD.file_upload.MergeFrom(actions_pb2.FileUploadAction(media_types=["image/*"], files_max=1, bytes_max=1))
RICH.actions.extend((ACTION, MENU, UPLOAD))
GOOD: Final[dict[str, Message]] = {
    "ActionService/ListActionTypes": actions_pb2.ListActionTypesRequest(),
    "ActionService/CreateActionHandler": actions_pb2.CreateActionHandlerRequest(
        name="it",
        action_pattern="order*",
        types=[actions_pb2.ACTION_TYPE_FORM],
        priority=1,
        callback=actions_pb2.ActionCallback(uri="https://example.com/"),
    ),
    "ActionService/ListActionHandlers": actions_pb2.ListActionHandlersRequest(),
    "ActionService/DeleteActionHandler": actions_pb2.DeleteActionHandlerRequest(handler_id="acth_" + "1" * 32),
    "ActionService/ValidateAction": actions_pb2.ValidateActionRequest(
        action=ACTION, arguments_json='{"city": "Oslo", "size": "s"}'
    ),
    "ActionService/ExecuteAction": actions_pb2.ExecuteActionRequest(
        action=ACTION, arguments_json='{"city": "Oslo"}', confirmation_token="x", completion_id="c", request_id="r"
    ),
    "ChatService/Complete": chat_pb2.CompleteRequest(input=RICH),
    "ChatService/CompleteMany": chat_pb2.CompleteManyRequest(inputs=[KEPT], max_concurrency=1),
    "ChatService/Stream": chat_pb2.StreamRequest(input=SCHEMA),
    "ChatService/CountTokens": chat_pb2.CountTokensRequest(input=question("hello")),
    "ChatService/Quote": chat_pb2.QuoteRequest(input=question("hello")),
    "ChatService/CancelCompletion": chat_pb2.CancelCompletionRequest(completion_id="cmpl_" + "1" * 32),
    "ChatService/GetCompletion": chat_pb2.GetCompletionRequest(completion_id="cmpl_" + "1" * 32),
    "CreditService/GetBalance": credits_pb2.GetBalanceRequest(user_id="ada"),
    "CreditService/ListAccounts": credits_pb2.ListAccountsRequest(),
    "CreditService/GrantCredits": credits_pb2.GrantCreditsRequest(user_id="ada", amount=AMOUNT, request_id="grant"),
    "CreditService/UpdateAccount": credits_pb2.UpdateAccountRequest(
        user_id="ada", unlimited=False, overdraft_limit=AMOUNT, low_balance=AMOUNT
    ),
    "CreditService/Reserve": credits_pb2.ReserveRequest(
        user_id="ada", amount=AMOUNT, ttl=Duration(seconds=5), request_id="reserve"
    ),
    "CreditService/Settle": credits_pb2.SettleRequest(reservation_id="resv_" + "1" * 32, amount=AMOUNT),
    "CreditService/Release": credits_pb2.ReleaseRequest(reservation_id="resv_" + "1" * 32),
    "CreditService/GetReservation": credits_pb2.GetReservationRequest(reservation_id="resv_" + "1" * 32),
    "CreditService/ListLedgerEntries": credits_pb2.ListLedgerEntriesRequest(user_id="ada"),
    "AdminService/CreateTenant": admin_pb2.CreateTenantRequest(name="acme"),
    "AdminService/ListTenants": admin_pb2.ListTenantsRequest(),
    "AdminService/CreateApiKey": admin_pb2.CreateApiKeyRequest(
        name="key", scopes=["chat:write"], allowed_models=["sandbox/echo"], expire_time=Timestamp(seconds=4 * 10**9)
    ),
    "AdminService/ListApiKeys": admin_pb2.ListApiKeysRequest(),
    "AdminService/RevokeApiKey": admin_pb2.RevokeApiKeyRequest(key_id="x" * 12),
    "AdminService/RotateApiKey": admin_pb2.RotateApiKeyRequest(key_id="x" * 12, overlap=Duration(seconds=5)),
    "AdminService/GetInfo": admin_pb2.GetInfoRequest(),
    "AdminService/GetCacheStats": admin_pb2.GetCacheStatsRequest(provider="sandbox", model="echo"),
    "AdminService/PurgeCache": admin_pb2.PurgeCacheRequest(provider="sandbox", model="echo"),
    "LimitService/SetRateLimit": limits_pb2.SetRateLimitRequest(
        rate_limit=limits_pb2.RateLimit(
            name="it", selector=WHO, unit=limits_pb2.LIMIT_UNIT_TOKENS, amount=5, window=Duration(seconds=5), burst=1
        )
    ),
    "LimitService/ListRateLimits": limits_pb2.ListRateLimitsRequest(),
    "LimitService/DeleteRateLimit": limits_pb2.DeleteRateLimitRequest(name="it"),
    "LimitService/SetBudget": limits_pb2.SetBudgetRequest(
        budget=limits_pb2.Budget(
            name="it",
            selector=WHO,
            period=limits_pb2.BUDGET_PERIOD_DAY,
            time_zone="UTC",
            amount=AMOUNT,
            thresholds=[50],
        )
    ),
    "LimitService/ListBudgets": limits_pb2.ListBudgetsRequest(),
    "LimitService/DeleteBudget": limits_pb2.DeleteBudgetRequest(name="it"),
    "LimitService/GetQuota": limits_pb2.GetQuotaRequest(user_id="ada", provider="sandbox", model="echo", team="blue"),
    "ModelService/ListModels": models_pb2.ListModelsRequest(),
    "ModelService/GetModel": models_pb2.GetModelRequest(name="sandbox/echo"),
    "ModelService/ListPrices": models_pb2.ListPricesRequest(),
    "ModelService/SyncModels": models_pb2.SyncModelsRequest(provider="sandbox"),
    "ModelService/ListModelAliases": models_pb2.ListModelAliasesRequest(),
    "ModelService/SetModelAlias": models_pb2.SetModelAliasRequest(alias="fast", models=["sandbox/echo"]),
    "ModelService/DeleteModelAlias": models_pb2.DeleteModelAliasRequest(alias="fast"),
    "ModelService/SetPrice": models_pb2.SetPriceRequest(
        provider="sandbox",
        model="count",
        units=[models_pb2.UnitPrice(unit="input", per_million=usage_pb2.Amount(unit="USD", nanos=1))],
        effective_time=Timestamp(seconds=4 * 10**9),
        source="a letter",
    ),
    "ProviderService/ListProviders": providers_pb2.ListProvidersRequest(),
    "ProviderService/GetProvider": providers_pb2.GetProviderRequest(name="sandbox"),
    "ProviderService/TestProvider": providers_pb2.TestProviderRequest(name="sandbox"),
    "ProviderService/CreateProviderAccount": providers_pb2.CreateProviderAccountRequest(
        provider="sandbox", name="main", api_key="sk-one"
    ),
    "ProviderService/ListProviderAccounts": providers_pb2.ListProviderAccountsRequest(),
    "ProviderService/RotateProviderAccount": providers_pb2.RotateProviderAccountRequest(
        account_id="pacc_" + "1" * 32, api_key="sk-one"
    ),
    "ProviderService/SetDefaultProviderAccount": providers_pb2.SetDefaultProviderAccountRequest(
        account_id="pacc_" + "1" * 32
    ),
    "ProviderService/DeleteProviderAccount": providers_pb2.DeleteProviderAccountRequest(account_id="pacc_" + "1" * 32),
    "ProviderService/ResetBreaker": providers_pb2.ResetBreakerRequest(name="sandbox"),
    "ProviderService/OpenBreaker": providers_pb2.OpenBreakerRequest(name="sandbox/echo"),
}
NOT_HERE: Final = ("AdminService/Drain", "ProviderService/WatchProviderHealth")
"""The one ends the server, the other goes on until it does."""
CONTRACT: Final = Contract()
FAULTS: Final = frozenset(("UNKNOWN", "INTERNAL", "UNIMPLEMENTED"))


def test_no_method_is_left_out() -> None:
    assert {method.name for method in CONTRACT.methods()} == {f"/trunkline.v1.{name}" for name in (*GOOD, *NOT_HERE)}


@pytest.mark.parametrize("method", GOOD)
async def test_every_field(database: Database, gateway: RunningGateway, method: str) -> None:
    faults, codes = [], Counter([await told(gateway, method, GOOD[method])])
    assert not any(code.startswith("INVALID") for code in codes), codes
    for path, request in variants(GOOD[method]):
        code = await told(gateway, method, request)
        codes[code] += 1
        if code in FAULTS:
            faults.append(path)
    assert faults == [], codes
    assert all(code == "OK" or not code.endswith(" ") for code in codes), codes
    assert await reconciliation.audit(database) == []


@pytest.mark.parametrize("provider", declarations(), ids=lambda provider: provider.name)
def test_every_provider_can_be_told_what_the_door_lets_through(provider: Provider) -> None:
    spelled, faults = 0, []
    for path, input in (*variants(RICH), *variants(SCHEMA)):
        try:
            check(input)
            provider.wire.encode_chat(Ask(provider=provider.name, model="m", input=input, stream=True))
            spelled += 1
        except TrunklineError:
            continue
        except Exception as error:  # noqa: BLE001 - every fault is listed
            faults.append(f"{path}: {error!r}")
    assert faults == []
    assert spelled > 400


def check(input: chat_pb2.ChatInput) -> None:
    """What happens to a question before a provider is asked."""
    CONTRACT.validate(chat_pb2.CompleteRequest(input=input))
    question_rules.check(input)


async def told(gateway: RunningGateway, method: str, request: Message) -> str:
    """`OK`, or the code and the reason; a fault without its reason."""
    try:
        await send(gateway.channel, f"/trunkline.v1.{method}", request, gateway.metadata("ada"), timeout=20)
    except grpc.aio.AioRpcError as error:
        heard = refusal_of(error)
        fault = heard.code in FAULTS and heard.reason != "OUTPUT_INVALID"
        return heard.code if fault else f"{heard.code} {heard.reason}"
    return "OK"
