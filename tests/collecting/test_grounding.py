"""Chat calls that read in a collection first, over a socket: what the model is told, and what the answer cites."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, question, text_of
from tests.fixtures.jobs import create
from tests.fixtures.library import HARBOUR, Reader, town
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.talks import Speaker
from trunkline.v1 import admin_pb2, chat_pb2, content_pb2, guard_pb2, jobs_pb2, retrieval_pb2
from trunkline_server.core import money
from trunkline_server.core.collections import citing

ASKED: Final = "When does the harbour open?"
ANSWER: Final = "It opens at six [1]. Boats leave with the tide. [1][2] Nobody knows more [9]."


def asking(script: dict[str, Any] | None = None, **fields: Any) -> chat_pb2.ChatInput:
    """A question about the town."""
    fields.setdefault("options", retrieval_pb2.SearchOptions(limit=2))
    input = question(ASKED, "sandbox/echo", retrieval=retrieval_pb2.Retrieval(**({"collection": "town"} | fields)))
    if script is not None:
        input.provider_options_json["sandbox"] = json.dumps({"script": script})
    return input


async def complete(gateway: RunningGateway, input: chat_pb2.ChatInput, **more: Any) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=input)
    return (await gateway.chat.Complete(request, metadata=more.get("metadata") or gateway.metadata())).completion


async def test_sources_are_told_cited_and_paid_for(gateway: RunningGateway) -> None:
    await town(gateway)
    call = gateway.chat.Complete(chat_pb2.CompleteRequest(input=asking({"text": ANSWER})), metadata=gateway.metadata())
    completion = (await call).completion
    trailers = dict(await call.trailing_metadata())

    read = completion.retrieved
    assert [source.number for source in read.sources] == [1, 2]
    assert (read.sources[0].document_id, read.sources[0].text) == ("harbour", HARBOUR)
    text = completion.candidates[0].message.parts[0].text
    cited = [(text.text[each.start_index : each.end_index], each.title) for each in text.citations]
    second = read.sources[1].document_id
    assert cited == [
        ("It opens at six", "harbour"),
        ("Boats leave with the tide.", "harbour"),
        ("Boats leave with the tide.", second),
    ]
    assert read.charge.nanos > 0
    told = money.from_decimal_text(str(trailers["x-trunkline-charge"]))
    assert told == completion.charge.nanos + read.charge.nanos


async def test_a_search_is_guarded_as_its_call_is(books: Books, gateway: RunningGateway) -> None:
    await town(gateway)
    before = await books.charges()
    input = asking(query="What does ann@example.org owe?")
    rule = guard_pb2.GuardRule(personal_data=guard_pb2.GUARD_LEVEL_STANDARD, action=guard_pb2.GUARD_ACTION_REFUSE)
    input.guard.input.CopyFrom(rule)
    assert (await refusal(complete(gateway, input))).reason == "PII_DETECTED"
    assert await books.charges() == before, "nobody has made a vector of it"


async def test_the_model_reads_the_sources_before_the_question(gateway: RunningGateway) -> None:
    await town(gateway)
    plain = (await complete(gateway, question(ASKED, "sandbox/echo"))).usage.input_tokens
    completion = await complete(gateway, asking())

    assert text_of(completion) == ASKED
    assert completion.usage.input_tokens > plain + len(HARBOUR.split())


async def test_a_stream_tells_them_first_and_cites_at_the_end(gateway: RunningGateway) -> None:
    await town(gateway)
    request = chat_pb2.StreamRequest(input=asking({"text": ANSWER}))
    events = [told.event async for told in gateway.chat.Stream(request, metadata=gateway.metadata())]

    assert events[0].started.retrieved.sources[0].document_id == "harbour"
    parts = [event.part_completed.part for event in events if event.HasField("part_completed")]
    assert [len(part.text.citations) for part in parts] == [3]


async def test_a_conversation_keeps_the_citations_and_not_the_sources(gateway: RunningGateway) -> None:
    await town(gateway)
    speaker = Speaker(gateway)
    input = asking({"text": ANSWER})
    input.conversation_id = await speaker.begin()
    await complete(gateway, input)

    kept = [each.message for each in await speaker.kept(input.conversation_id)]
    assert [part.text.text for message in kept for part in message.parts] == [ASKED, ANSWER]
    assert len(kept[1].parts[0].text.citations) == 3


async def test_without_citations_none_are_looked_for(gateway: RunningGateway) -> None:
    await town(gateway)
    completion = await complete(gateway, asking({"text": ANSWER}, without_citations=True))
    assert completion.retrieved.sources
    assert not completion.candidates[0].message.parts[0].text.citations


async def test_where_nothing_is_found_the_question_stays_as_it_was(gateway: RunningGateway) -> None:
    await Reader(gateway, gateway.metadata()).make()
    plain = (await complete(gateway, question(ASKED, "sandbox/echo"))).usage
    assert (await complete(gateway, asking())).usage == plain


async def test_a_query_of_its_own_and_words(gateway: RunningGateway) -> None:
    await town(gateway)
    options = retrieval_pb2.SearchOptions(mode=retrieval_pb2.SEARCH_MODE_WORDS)
    completion = await complete(gateway, asking(query="bread", options=options))
    assert [source.document_id for source in completion.retrieved.sources] == ["bakery"]
    assert completion.retrieved.charge.nanos == 0


async def test_quotes_and_counts_know_the_longest_sources_and_charge_nothing(gateway: RunningGateway) -> None:
    await town(gateway)
    metadata = gateway.metadata()

    async def counted(input: chat_pb2.ChatInput) -> tuple[int, int]:
        quoted = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=metadata)
        told = await gateway.chat.CountTokens(chat_pb2.CountTokensRequest(input=input), metadata=metadata)
        return quoted.input_tokens, told.input_tokens

    plain = await counted(question(ASKED, "sandbox/echo"))
    one, two = [await counted(asking(options=retrieval_pb2.SearchOptions(limit=limit))) for limit in (1, 2)]
    assert all(none + len(HARBOUR.split()) < first < both for none, first, both in zip(plain, one, two, strict=True))
    completion = await complete(gateway, asking())
    assert completion.usage.input_tokens <= two[0]

    nothing = retrieval_pb2.Condition(key="place", exists=True)
    options = retrieval_pb2.SearchOptions(filter=retrieval_pb2.MetadataFilter(must=[nothing]))
    assert await counted(asking(options=options)) == plain
    call = gateway.chat.Quote(chat_pb2.QuoteRequest(input=asking()), metadata=metadata)
    assert "x-trunkline-charge" not in dict(await call.trailing_metadata())


async def test_what_cannot_be_read(gateway: RunningGateway) -> None:
    await town(gateway)
    assert await refusal(complete(gateway, asking(collection="nowhere"))) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    request = admin_pb2.CreateApiKeyRequest(name="key", scopes=["chat:*"])
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    refused = await refusal(complete(gateway, asking(), metadata=gateway.metadata(key=made.secret)))
    assert refused == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
    assert await refusal(create(gateway, jobs_pb2.JobSpec(chat=asking()))) == invalid("input.retrieval")


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("", []),
        ("[1]", [""]),
        ("One. Two [1]", ["Two"]),
        ("One [1] and two [2].", ["One", "and two"]),
        ("One\nTwo. [2]\n", ["Two."]),
        ("None [3] [0]", []),
    ],
)
def test_what_a_mark_stands_for(text: str, cited: list[str]) -> None:
    part = content_pb2.TextPart(text=text)
    citing.cite(part, [retrieval_pb2.RetrievedSource(number=number, document_id="d") for number in (1, 2)])
    assert [text[each.start_index : each.end_index] for each in part.citations] == cited
