"""Guards as callers meet them: what a provider gets to see, what comes back, and what it costs."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.desk import USER, Desk, Heard, heard
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of, text_of, user
from tests.fixtures.streams import OPENAI, desk, read_words, rest
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET
from trunkline.v1 import (
    admin_pb2,
    chat_pb2,
    content_pb2,
    embeddings_pb2,
    errors_pb2,
    guard_pb2,
    jobs_pb2,
    moderation_pb2,
)
from trunkline_server.gateway.guards import detectors

__all__ = ["desk"]

MASK, REDACT, REFUSE = guard_pb2.GUARD_ACTION_MASK, guard_pb2.GUARD_ACTION_REDACT, guard_pb2.GUARD_ACTION_REFUSE
STANDARD, STRICT = guard_pb2.GUARD_LEVEL_STANDARD, guard_pb2.GUARD_LEVEL_STRICT
MAIL = "ann@example.org"
PRIVATE = f"Write to {MAIL} or bob@example.org, not {MAIL}"


def rule(action: Any = MASK, personal_data: Any = STANDARD, harm: Any = 0) -> guard_pb2.GuardRule:
    return guard_pb2.GuardRule(personal_data=personal_data, harm=harm, action=action)


def masking(**fields: Any) -> guard_pb2.Guard:
    return guard_pb2.Guard(input=rule(), **fields)


def asked(text: str = PRIVATE, guard: guard_pb2.Guard | None = None, **fields: Any) -> chat_pb2.ChatInput:
    return question(text, OPENAI.name, guard=guard or masking(), **fields)


async def complete(desk: Desk, input: chat_pb2.ChatInput, user: str = USER) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=input)
    return (await desk.gateway.chat.Complete(request, metadata=desk.gateway.metadata(user))).completion


async def listen(desk: Desk, input: chat_pb2.ChatInput) -> Heard:
    request = chat_pb2.StreamRequest(input=input)
    return await heard(desk.gateway.chat.Stream(request, metadata=desk.gateway.metadata(USER)))


async def refused(desk: Desk, input: chat_pb2.ChatInput) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await complete(desk, input)
    return raised.value


def sent(desk: Desk) -> str:
    """The last body that the provider got."""
    return desk.upstream.requests[-1].body.decode()


def found(told: Any) -> list[tuple[str, bool, int, int]]:
    return [(each.kind, each.in_answer, each.action, each.count) for each in told.guard_findings]


# Masked and put back.


async def test_the_provider_sees_placeholders_and_the_caller_the_values(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("I wrote to [EMAIL_1], [EMAIL_2] and [EMAIL_3].", 4))
    completion = await complete(desk, asked())
    assert json.loads(sent(desk))["messages"][0]["content"] == "Write to [EMAIL_1] or [EMAIL_2], not [EMAIL_1]"
    assert text_of(completion) == f"I wrote to {MAIL}, bob@example.org and [EMAIL_3]."
    assert found(completion) == [("EMAIL", False, MASK, 3)]
    assert completion.charge.nanos == desk.charge(4)


async def test_streams_put_back_what_comes_in_pieces(desk: Desk) -> None:
    desk.upstream.stream(OPENAI.stream("I wrote to [EM", "AIL", "_", "1]", " and", " [not] ", "it"))
    said = await listen(desk, asked())
    assert said.text == f"I wrote to {MAIL} and [not] it"
    assert said.completed.charge.nanos == desk.charge(7)
    assert [event.sequence for event in said.events] == list(range(1, len(said.events) + 1))
    (whole,) = [event.part_completed.part.text.text for event in said.events if event.HasField("part_completed")]
    assert whole == said.text


async def test_every_text_of_a_question_is_looked_through(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("Done", 1))
    call = content_pb2.ToolCallPart(call_id="c1", name="send", arguments_json=json.dumps({"to": f"\n{MAIL}"}))
    result = content_pb2.ToolResultPart(call_id="c1", name="send", structured_json=json.dumps({"from": MAIL}))
    input = asked(f"Tell {MAIL}")
    input.messages.insert(0, content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=user(f"You are {MAIL}").parts))
    input.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.CopyFrom(call)
    input.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.CopyFrom(result)
    tool = input.tools.add().function
    tool.name, tool.description = "send", f"Sends as {MAIL}"
    tool.parameters_json_schema = json.dumps({"type": "object", "description": MAIL})
    completion = await complete(desk, input)
    assert "example.org" not in sent(desk)
    assert (
        json.loads(json.loads(sent(desk))["messages"][2]["tool_calls"][0]["function"]["arguments"])["to"]
        == "\n[EMAIL_1]"
    )
    assert found(completion) == [("EMAIL", False, MASK, 6)]


async def test_values_come_back_in_the_arguments_of_tools(desk: Desk) -> None:
    await policy(desk.gateway, patterns=[guard_pb2.GuardPattern(name="MOTTO", pattern='"carpe[^"]*"')])
    calls = [{"index": 0, "id": "c1", "function": {"name": "send", "arguments": ""}}]
    pieces = ['{"to": "[EMA', 'IL_1]", "say": "[MOTTO_1]', '"}']
    deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    chunks = [OPENAI._chunk([{"index": 0, "delta": each}]) for each in ({"tool_calls": calls}, *deltas)]
    desk.upstream.stream([OPENAI.opening(), *chunks, OPENAI.ending(3)])
    input = asked(f'Send "carpe diem" to {MAIL}')
    input.tools.add().function.name = "send"
    said = await listen(desk, input)
    (part,) = [event.part_completed.part for event in said.events if event.HasField("part_completed")]
    assert json.loads(part.tool_call.arguments_json) == {"to": MAIL, "say": '"carpe diem"'}
    assert part.tool_call.state == content_pb2.TOOL_CALL_STATE_READY
    assert "".join(event.part_delta.arguments_json for event in said.events) == part.tool_call.arguments_json


async def test_structured_output_stays_json(desk: Desk) -> None:
    await policy(desk.gateway, patterns=[guard_pb2.GuardPattern(name="MOTTO", pattern='"carpe[^"]*"')])
    input = asked('My motto is "carpe diem"')
    input.output_format.json_object.SetInParent()
    desk.upstream.reply(json=OPENAI.whole('{"motto": "[MOTTO_1]"}', 1))
    assert json.loads(text_of(await complete(desk, input))) == {"motto": '"carpe diem"'}
    desk.upstream.stream(OPENAI.stream('{"motto": "[MO', 'TTO_1]"}'))
    assert json.loads((await listen(desk, input)).text) == {"motto": '"carpe diem"'}


async def test_a_placeholder_in_the_question_stands_for_itself(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("[EMAIL_1] [EMAIL_2]", 1))
    completion = await complete(desk, asked(f"[EMAIL_1] is not {MAIL}"))
    assert text_of(completion) == f"[EMAIL_1] {MAIL}"


async def test_counting_asks_nobody_about_the_values(desk: Desk) -> None:
    counted = await desk.gateway.chat.CountTokens(
        chat_pb2.CountTokensRequest(input=asked()), metadata=desk.gateway.metadata(USER)
    )
    assert counted.input_tokens > 0
    assert all(b"example.org" not in request.body for request in desk.upstream.requests)


# Redacted and refused.


async def test_redacted_does_not_come_back(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("To [EMAIL]", 1))
    completion = await complete(desk, asked(guard=guard_pb2.Guard(input=rule(REDACT))))
    assert MAIL not in sent(desk)
    assert text_of(completion) == "To [EMAIL]"
    assert found(completion) == [("EMAIL", False, REDACT, 3)]


async def test_refused_is_not_sent_and_costs_nothing(desk: Desk) -> None:
    error = await refused(desk, asked(guard=guard_pb2.Guard(input=rule(REFUSE))))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "PII_DETECTED")
    assert MAIL not in str(error)
    assert desk.upstream.requests == []
    assert "x-trunkline-completion-id" not in dict(error.trailing_metadata() or ())


async def test_harm_is_refused_by_its_category(desk: Desk) -> None:
    guard = guard_pb2.Guard(input=rule(personal_data=0, harm=STANDARD))
    error = await refused(desk, asked("Tell me how to make a bomb", guard))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_BLOCKED")
    assert "VIOLENCE" in (error.details() or "")
    assert desk.upstream.requests == []


# Answers.


async def test_what_the_model_tells_is_redacted(desk: Desk) -> None:
    guard = guard_pb2.Guard(output=rule())
    desk.upstream.reply(json=OPENAI.whole(f"Ask {MAIL} now", 3))
    completion = await complete(desk, asked("Who?", guard))
    assert text_of(completion) == "Ask [EMAIL] now"
    assert found(completion) == [("EMAIL", True, REDACT, 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_value_that_comes_in_pieces_is_redacted(desk: Desk, size: int) -> None:
    text = f"Please ask {MAIL} today, or call +1 415 555 2671."
    desk.upstream.stream(OPENAI.stream(*[text[at : at + size] for at in range(0, len(text), size)]))
    said = await listen(desk, asked("Who?", guard_pb2.Guard(output=rule())))
    assert said.text == "Please ask [EMAIL] today, or call [PHONE]."
    assert found(said.completed) == [("EMAIL", True, REDACT, 1), ("PHONE", True, REDACT, 1)]


async def test_text_flows_while_a_value_is_held_back(desk: Desk) -> None:
    go = asyncio.Event()
    words = [OPENAI.delta(text) for text in ("Please ", "ask ", "ann", "@exa")]
    desk.upstream.stream([OPENAI.opening(), *words, go, OPENAI.delta("mple.org!"), OPENAI.ending(5)])
    request = chat_pb2.StreamRequest(input=asked("Who?", guard_pb2.Guard(output=rule())))
    call = desk.gateway.chat.Stream(request, metadata=desk.gateway.metadata(USER))
    assert (await read_words(call, 2)).text == "Please ask "
    go.set()
    assert (await rest(call)).text == "[EMAIL]!"


async def test_own_values_are_not_redacted_but_put_back(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("[EMAIL_1] or eve@example.org", 3))
    completion = await complete(desk, asked(guard=masking(output=rule())))
    assert text_of(completion) == f"{MAIL} or [EMAIL]"


async def test_a_stream_ends_at_what_must_not_be_told(desk: Desk) -> None:
    never = asyncio.Event()
    answer = desk.upstream.stream(
        [*OPENAI.stream("Ask", " ann@exam", "ple.org ", "and")[:-1], *[OPENAI.delta(" x")] * 400, never]
    )
    said = await listen(desk, asked("Who?", guard_pb2.Guard(output=rule(REFUSE))))
    assert said.text == "Ask "
    await answer.client_left()
    assert said.completed.outcome == chat_pb2.OUTCOME_FILTERED
    (ended,) = [event.candidate_completed for event in said.events if event.HasField("candidate_completed")]
    assert ended.finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert [e.part_completed.part.text.text for e in said.events if e.HasField("part_completed")] == ["Ask "]
    assert said.completed.usage.output_tokens >= 3
    assert said.completed.charge.nanos > 0


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_that_ends_with_it_is_filtered_too(desk: Desk, *, streaming: bool) -> None:
    guard = guard_pb2.Guard(output=rule(REFUSE))
    if streaming:
        desk.upstream.stream(OPENAI.stream("Ask ", MAIL))
        said = await listen(desk, asked("Who?", guard))
        text, outcome = said.text, said.completed.outcome
    else:
        desk.upstream.reply(json=OPENAI.whole(f"Ask {MAIL} or so", 2))
        completion = await complete(desk, asked("Who?", guard))
        text, outcome = text_of(completion), completion.outcome
        assert completion.candidates[0].finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert (text, outcome) == ("Ask ", chat_pb2.OUTCOME_FILTERED)


async def test_nothing_held_back_is_told_when_the_provider_dies(desk: Desk) -> None:
    words = OPENAI.stream("Ask ", "ann@exa")[:-1]
    desk.upstream.stream([*words, RESET])
    said = await listen(desk, asked("Who?", guard_pb2.Guard(output=rule())))
    assert said.text in {"", "Ask "}
    assert said.error is not None
    assert reason_of(said.error) == "STREAM_INTERRUPTED"
    partial = detail_of(said.error, errors_pb2.PartialResult)
    row = await desk.gateway.chat.GetCompletion(
        chat_pb2.GetCompletionRequest(completion_id=partial.completion_id), metadata=desk.gateway.metadata(USER)
    )
    assert row.completion.charge == partial.charge
    assert row.completion.outcome == chat_pb2.OUTCOME_FAILED


async def test_probabilities_do_not_tell_what_was_taken_out(desk: Desk) -> None:
    whole = OPENAI.whole(f"Ask {MAIL}", 2)
    whole["choices"][0]["logprobs"] = {"content": [{"token": MAIL, "logprob": -0.1, "top_logprobs": []}]}
    desk.upstream.reply(json=whole)
    sampling = chat_pb2.Sampling(top_logprobs=1)
    completion = await complete(desk, asked("Who?", guard_pb2.Guard(output=rule()), sampling=sampling))
    assert MAIL not in str(completion)


# Policies.


async def policy(gateway: RunningGateway, key: str = "", **fields: Any) -> guard_pb2.GuardPolicy:
    request = moderation_pb2.SetGuardPolicyRequest(policy=guard_pb2.GuardPolicy(**fields))
    await gateway.moderation.SetGuardPolicy(request, metadata=gateway.metadata(key=key))
    told = await gateway.moderation.GetGuardPolicy(
        moderation_pb2.GetGuardPolicyRequest(), metadata=gateway.metadata(key=key)
    )
    assert told.policy == request.policy
    return told.policy


async def test_a_policy_holds_for_calls_that_say_nothing(desk: Desk) -> None:
    await policy(desk.gateway, guard=masking())
    desk.upstream.reply(json=OPENAI.whole("[EMAIL_1]", 1))
    assert text_of(await complete(desk, question(PRIVATE, OPENAI.name))) == MAIL
    assert MAIL not in sent(desk)
    await policy(desk.gateway)
    desk.upstream.reply(json=OPENAI.whole("ok", 1))
    await complete(desk, question(PRIVATE, OPENAI.name))
    assert MAIL in sent(desk)


async def test_a_call_cannot_ask_for_less(desk: Desk) -> None:
    await policy(desk.gateway, guard=guard_pb2.Guard(input=rule(REDACT)))
    desk.upstream.reply(json=OPENAI.whole("ok", 1))
    await complete(desk, asked(guard=guard_pb2.Guard(input=rule(MASK, guard_pb2.GUARD_LEVEL_OFF))))
    assert json.loads(sent(desk))["messages"][0]["content"] == "Write to [EMAIL] or [EMAIL], not [EMAIL]"
    assert reason_of(await refused(desk, asked(guard=guard_pb2.Guard(input=rule(REFUSE))))) == "PII_DETECTED"


async def test_own_patterns(desk: Desk) -> None:
    patterns = [
        guard_pb2.GuardPattern(name="STAFF", pattern=r"\bEMP-\d+\b"),
        guard_pb2.GuardPattern(name="SECRET_PLAN", pattern="(?i)project x", is_harm=True),
    ]
    guard = guard_pb2.Guard(input=rule(harm=STANDARD), output=rule(harm=STANDARD))
    await policy(desk.gateway, guard=guard, patterns=patterns)
    desk.upstream.stream(OPENAI.stream("[STAFF", "_1] and", " EMP", "-77", " like Pro", "ject X", " and more"))
    said = await listen(desk, question("Who is EMP-12345?", OPENAI.name))
    assert "EMP-12345" not in sent(desk)
    assert said.text == "EMP-12345 and [STAFF] like "
    assert said.completed.outcome == chat_pb2.OUTCOME_FILTERED
    assert reason_of(await refused(desk, question("What is Project X", OPENAI.name))) == "CONTENT_BLOCKED"


@pytest.mark.parametrize(
    ("patterns", "field"),
    [
        ([("A_B", "(")], "policy.patterns[0].pattern"),
        ([("A_B", "a{1000}{1000}")], "policy.patterns[0].pattern"),
        ([("A_B", "a(?=b)")], "policy.patterns[0].pattern"),
        ([("A_B", "a"), ("A_B", "b")], "policy.patterns[1].name"),
        ([("ab", "a")], "policy.patterns[0].name"),
        ([("AB", "")], "policy.patterns[0].pattern"),
    ],
)
async def test_patterns_that_cannot_be_used(gateway: RunningGateway, patterns: list[Any], field: str) -> None:
    own = [guard_pb2.GuardPattern(name=name, pattern=pattern) for name, pattern in patterns]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await policy(gateway, patterns=own)
    assert reason_of(raised.value) == "VALIDATION"
    assert field in (raised.value.details() or "") or field in str(raised.value.trailing_metadata())


async def test_a_policy_is_the_tenants_own(desk: Desk) -> None:
    gateway = desk.gateway
    tenant = await gateway.admin.CreateTenant(admin_pb2.CreateTenantRequest(name="other"), metadata=gateway.metadata())
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["*"], tenant_id=tenant.tenant.tenant_id)
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    await policy(gateway, guard=guard_pb2.Guard(input=rule(REFUSE)))
    told = await gateway.moderation.GetGuardPolicy(
        moderation_pb2.GetGuardPolicyRequest(), metadata=gateway.metadata(key=key)
    )
    assert told.policy == guard_pb2.GuardPolicy()
    desk.upstream.reply(json=OPENAI.whole("ok", 1))
    request = chat_pb2.CompleteRequest(input=question(PRIVATE, OPENAI.name))
    await gateway.chat.Complete(request, metadata=gateway.metadata(USER, key=key))
    assert MAIL in sent(desk)


async def test_other_work_is_looked_through_too(gateway: RunningGateway) -> None:
    await policy(gateway, guard=guard_pb2.Guard(input=rule(REFUSE)))
    input = embeddings_pb2.EmbedInput(model="sandbox/embed", texts=["fine", MAIL])
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await gateway.embeddings.Embed(embeddings_pb2.EmbedRequest(input=input), metadata=gateway.metadata())
    assert reason_of(raised.value) == "PII_DETECTED"


# Kept answers.


def cached(input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
    input.cache.mode = chat_pb2.CACHE_MODE_USE
    return input


async def test_kept_answers_are_told_under_the_same_guard_alone(desk: Desk) -> None:
    plain, guarded = cached(question("Who?", OPENAI.name)), cached(asked("Who?", guard_pb2.Guard(output=rule())))
    desk.upstream.reply(json=OPENAI.whole(f"Ask {MAIL}", 1))
    assert text_of(await complete(desk, plain)) == f"Ask {MAIL}"
    desk.upstream.reply(json=OPENAI.whole(f"Ask {MAIL}", 1))
    assert text_of(await complete(desk, guarded)) == "Ask [EMAIL]"
    assert text_of(await complete(desk, guarded)) == "Ask [EMAIL]"
    assert len(desk.upstream.requests) == 2
    await policy(desk.gateway, guard=guard_pb2.Guard(output=rule(REFUSE)))
    desk.upstream.reply(json=OPENAI.whole(f"Ask {MAIL}", 1))
    assert text_of(await complete(desk, plain)) == "Ask "


@pytest.mark.parametrize("streaming", [False, True])
async def test_nothing_is_kept_of_what_was_masked(desk: Desk, *, streaming: bool) -> None:
    for _ in range(2):
        if streaming:
            desk.upstream.stream(OPENAI.stream("To [EMAIL_1]"))
            assert (await listen(desk, cached(asked()))).text == f"To {MAIL}"
        else:
            desk.upstream.reply(json=OPENAI.whole("To [EMAIL_1]", 1))
            assert text_of(await complete(desk, cached(asked()))) == f"To {MAIL}"
    assert len(desk.upstream.requests) == 2


# Judged by a moderation model.

JUDGED = guard_pb2.Guard(
    input=rule(personal_data=0, harm=STANDARD),
    output=rule(personal_data=0, harm=STANDARD),
    moderation_model="sandbox/moderation",
)


async def test_a_moderation_model_judges_the_question(desk: Desk) -> None:
    error = await refused(desk, asked("You are vermin", JUDGED))
    assert (reason_of(error), desk.upstream.requests) == ("CONTENT_BLOCKED", [])
    assert "hate" in (error.details() or "")


async def test_a_moderation_model_judges_the_answer(desk: Desk) -> None:
    desk.upstream.reply(json=OPENAI.whole("You are vermin", 3))
    completion = await complete(desk, asked("Who?", JUDGED))
    assert (text_of(completion), completion.outcome) == ("", chat_pb2.OUTCOME_FILTERED)
    assert completion.charge.nanos == desk.charge(3)
    assert found(completion) == [("hate", True, REFUSE, 1)]
    desk.upstream.reply(json=OPENAI.whole("You are nice", 3))
    assert text_of(await complete(desk, asked("Who?", JUDGED))) == "You are nice"


async def test_a_stream_is_told_sentence_by_sentence_once_it_is_judged(desk: Desk) -> None:
    go = asyncio.Event()
    good = "This is a sentence that is long enough. " * 30
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta(good), go, OPENAI.delta("You vermin"), OPENAI.ending(2)])
    request = chat_pb2.StreamRequest(input=asked("Who?", JUDGED))
    call = desk.gateway.chat.Stream(request, metadata=desk.gateway.metadata(USER))
    first = await read_words(call, 20)
    go.set()
    last = await rest(call)
    events = [*first.events, *last.events]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    text = first.text + last.text
    assert good.startswith(text)
    assert [e.part_completed.part.text.text for e in events if e.HasField("part_completed")] == [text]
    assert last.completed.outcome == chat_pb2.OUTCOME_FILTERED


async def test_who_cannot_be_judged_is_not_answered(desk: Desk) -> None:
    guard = guard_pb2.Guard(input=rule(personal_data=0, harm=STANDARD), moderation_model="sandbox/echo")
    assert reason_of(await refused(desk, asked("Hello", guard))) in {"CAPABILITY_UNSUPPORTED", "MODEL_NOT_FOUND"}
    assert desk.upstream.requests == []


# From other distributions, by other doors, and with nobody on the line.


class Entry:
    """An entry point that gives what it is told to."""

    def __init__(self, name: str, given: Any) -> None:
        self.name = name
        self._given = given

    def load(self) -> Any:
        if isinstance(self._given, Exception):
            raise self._given
        return self._given


def names(text: str, start: int, end: int) -> tuple[int, int] | None:
    at = text.find("Ann", start, end)
    return (at, at + 3) if at >= 0 else None


def wild(text: str, start: int, end: int) -> tuple[int, int] | None:
    return start - 5, end + 5


async def test_detectors_of_others(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = [Entry("NAME", names), Entry("WILD", wild), Entry("BROKEN", ImportError("secret")), Entry("low", names)]
    monkeypatch.setattr(detectors, "brought", lambda group: given if group == detectors.GROUP else [])
    gateway = await start_gateway()
    input = question("I am Ann", guard=masking(output=rule()))
    request = chat_pb2.CompleteRequest(input=input)
    completion = (await gateway.chat.Complete(request, metadata=gateway.metadata(USER))).completion
    assert text_of(completion) == "I am Ann"
    assert found(completion) == [("NAME", False, MASK, 1)]
    told = [record.getMessage() for record in caplog.records if record.name == detectors.__name__]
    assert [re.findall(r"name=(\S+)", each) for each in told] == [["BROKEN"], ["low"]]
    assert "secret" not in caplog.text


async def test_the_settings_guard_everybody(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(guard={"input_personal_data": "standard", "action": "refuse"})
    request = chat_pb2.CompleteRequest(input=question(PRIVATE))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await gateway.chat.Complete(request, metadata=gateway.metadata(USER))
    assert reason_of(raised.value) == "PII_DETECTED"


async def test_jobs_are_guarded_too(books: Books, gateway: RunningGateway) -> None:
    judged = guard_pb2.GuardRule(harm=STANDARD)
    judged_input = guard_pb2.GuardRule(harm=STANDARD, personal_data=STANDARD)
    guard = guard_pb2.Guard(input=judged_input, output=judged, moderation_model="sandbox/moderation")
    await policy(gateway, guard=guard)
    made = await gateway.jobs.CreateJob(
        jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(chat=question(PRIVATE))), metadata=gateway.metadata()
    )

    async def got() -> jobs_pb2.Job:
        request = jobs_pb2.GetJobRequest(job_id=made.job.job_id)
        return (await gateway.jobs.GetJob(request, metadata=gateway.metadata())).job

    async def is_done() -> bool:
        return (await got()).state >= jobs_pb2.JOB_STATE_SUCCEEDED

    await until(is_done)
    completion = (await got()).result.completion
    assert text_of(completion) == PRIVATE
    assert found(completion) == [("EMAIL", False, MASK, 3)]
    assert sorted(row["operation"] for row in await books.usage()) == ["chat", "moderation", "moderation"]


async def test_a_long_question_is_looked_through_whole(gateway: RunningGateway) -> None:
    text = "word " * 20_000 + MAIL
    request = chat_pb2.CompleteRequest(input=question(text, guard=masking()))
    completion = (await gateway.chat.Complete(request, metadata=gateway.metadata(USER))).completion
    assert text_of(completion) == text
    assert found(completion) == [("EMAIL", False, MASK, 1)]
