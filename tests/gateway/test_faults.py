"""What providers do wrong, told by three of them over real sockets: callers get an answer or one clear error, pay for
what they got and nothing else, and nothing stays held.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import Desk
from tests.fixtures.dialects import DIALECTS, Dialect
from tests.fixtures.gateway import StartGateway, detail_of, text_of
from tests.fixtures.refusal import Refusal, refusal_of
from tests.fixtures.upstream import CLOSE, RESET, Answer, Step, Upstream, head
from trunkline.v1 import chat_pb2, errors_pb2, usage_pb2
from trunkline_server.core.money import to_decimal_text

EXHAUSTED = Refusal("UNAVAILABLE", "PROVIDERS_EXHAUSTED")
INTERRUPTED = Refusal("UNAVAILABLE", "STREAM_INTERRUPTED")
PATIENCE_S = 0.3
MIB = 1024 * 1024
THREE_WORDS = ("one ", "two ", "three")


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.provider)
async def desk(books: Books, start_gateway: StartGateway, upstream: Upstream, request: pytest.FixtureRequest) -> Desk:
    return await _desk(books, start_gateway, upstream, request.param)


@pytest.fixture
async def openai(books: Books, start_gateway: StartGateway, upstream: Upstream) -> Desk:
    """Where the dialect makes no difference."""
    return await _desk(books, start_gateway, upstream, DIALECTS[0])


async def _desk(books: Books, start_gateway: StartGateway, upstream: Upstream, dialect: Dialect) -> Desk:
    patience = {"first_token_timeout_s": PATIENCE_S, "idle_timeout_s": PATIENCE_S}
    breakers = {"calls_min": 1000}  # one test asks a broken provider often
    gateway = await start_gateway(dialect.environment(upstream.url), chat=patience, breakers=breakers)
    return Desk(gateway, upstream, books, dialect)


def _always(desk: Desk, body: bytes = b"", **more: Any) -> None:
    desk.upstream.respond(lambda _: desk.upstream.whole(body, **more))


def _well(desk: Desk) -> Answer:
    return desk.upstream.reply(json=desk.dialect.whole("fine", 1))


async def _finds_nothing_charged(desk: Desk) -> None:
    assert await desk.books.charges() == []
    await desk.books.audit()


async def _finds_charged(desk: Desk, *amounts: int) -> None:
    assert await desk.books.charges() == list(amounts)
    await desk.books.audit()


# Statuses.


async def test_500_twice_then_an_answer_costs_once(desk: Desk) -> None:
    for _ in range(2):
        desk.upstream.reply(status=500, json=desk.dialect.error("oh no"))
    _well(desk)
    completion = await desk.complete()
    assert text_of(completion) == "fine"
    assert [attempt.http_status for attempt in completion.attempts] == [500, 500, 200]
    assert [attempt.succeeded for attempt in completion.attempts] == [False, False, True]
    await _finds_charged(desk, desk.charge(1))


async def test_500_twice_then_a_stream_is_not_noticed_before_the_first_word(desk: Desk) -> None:
    for _ in range(2):
        desk.upstream.reply(status=500, json=desk.dialect.error("oh no"))
    desk.upstream.stream(desk.dialect.stream("a", "b"))
    heard = await desk.listen()
    assert heard.text == "ab"
    assert heard.kinds.count("started") == 1
    assert len(heard.completed.attempts) == 3
    await _finds_charged(desk, desk.charge(2))


async def test_a_provider_that_stays_down_is_asked_three_times(desk: Desk) -> None:
    _always(desk, status=500, json=desk.dialect.error("sk-canary in an error"))
    error = await desk.failed()
    assert refusal_of(error) == EXHAUSTED
    failures = detail_of(error, errors_pb2.UpstreamFailures).failures
    assert [(each.kind, each.http_status) for each in failures] == [("TRANSIENT", 500)] * 3
    assert len(desk.upstream.requests) == 3
    assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.seconds == 1
    assert 1000 <= int(dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"]) <= 1200
    assert "canary" not in repr(error)
    await _finds_nothing_charged(desk)


@pytest.mark.parametrize(
    ("headers", "attempts"),
    [
        ({"retry-after": "1"}, 2),
        ({"retry-after": "0.05"}, 2),
        ({"retry-after-ms": "50"}, 2),
        ({"retry-after": "3600"}, 1),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
        ({"retry-after": formatdate(time.time() + 7200, usegmt=True)}, 1),
        ({"retry-after": "-5"}, 1),
        ({"retry-after": "abc"}, 1),
        ({"retry-after": "nan"}, 1),
        ({"retry-after": "1e300"}, 1),
        ({"retry-after": "9" * 400}, 1),
        ({}, 1),
    ],
    ids=["1 s", "50 ms", "in ms", "1 h", "past", "later", "negative", "words", "nan", "huge", "long", "untold"],
)
async def test_a_throttling_provider_is_asked_again_only_if_it_says_when_and_that_is_soon(
    openai: Desk, headers: dict[str, str], attempts: int
) -> None:
    for _ in range(attempts):
        openai.upstream.reply(status=429, json=openai.dialect.error("slow down"), headers=headers)
    begun = time.monotonic()
    error = await openai.failed()
    waited_s = time.monotonic() - begun
    assert refusal_of(error) == EXHAUSTED
    assert len(openai.upstream.requests) == attempts
    assert waited_s >= 1 if headers == {"retry-after": "1"} else waited_s < 1
    await _finds_nothing_charged(openai)


async def test_the_wait_that_the_provider_asks_for_is_kept_and_then_it_answers(desk: Desk) -> None:
    desk.upstream.reply(status=429, json=desk.dialect.error("slow down"), headers={"retry-after": "0.2"})
    _well(desk)
    begun = time.monotonic()
    completion = await desk.complete()
    assert time.monotonic() - begun >= 0.2
    assert len(completion.attempts) == 2
    await _finds_charged(desk, desk.charge(1))


async def test_a_wait_longer_than_the_deadline_is_not_waited_for(openai: Desk) -> None:
    openai.upstream.reply(status=429, headers={"retry-after": "0.9"})
    begun = time.monotonic()
    error = await openai.failed(timeout=1.0)
    assert refusal_of(error) == EXHAUSTED
    assert time.monotonic() - begun < 0.8


async def test_our_spent_account_there_is_told_as_ours(desk: Desk) -> None:
    status, body = desk.dialect.quota
    _always(desk, status=status, json=body)
    error = await desk.failed()
    assert refusal_of(error) == Refusal("UNAVAILABLE", "PROVIDER_QUOTA")
    assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    assert "secret text" not in repr(error)
    assert len(desk.upstream.requests) == 1
    await _finds_nothing_charged(desk)


async def test_our_refused_key_is_told_as_ours(desk: Desk) -> None:
    for status in (401, 403):
        _always(desk, status=status)
        error = await desk.failed()
        assert refusal_of(error) == Refusal("UNAVAILABLE", "PROVIDER_CREDENTIALS")
        assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    assert len(desk.upstream.requests) == 2
    await _finds_nothing_charged(desk)


async def test_a_rejected_question_is_the_callers(desk: Desk) -> None:
    for status in (400, 405, 413, 415, 422):
        _always(desk, status=status)
        error = await desk.failed()
        assert refusal_of(error) == Refusal("INVALID_ARGUMENT", "PROVIDER_REJECTED")
        assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    assert len(desk.upstream.requests) == 5
    await _finds_nothing_charged(desk)


async def test_a_status_counts_though_its_body_is_too_long_or_breaks_off(desk: Desk) -> None:
    _always(desk, b"x" * MIB, status=401)
    assert refusal_of(await desk.failed()) == Refusal("UNAVAILABLE", "PROVIDER_CREDENTIALS")
    desk.upstream.raw(head(422, {"content-type": "application/json", "content-length": "100"}), b'{"error', RESET)
    assert refusal_of(await desk.failed()) == Refusal("INVALID_ARGUMENT", "PROVIDER_REJECTED")
    await _finds_nothing_charged(desk)


@pytest.mark.parametrize(("word", "attempts"), [("true", 2), ("false", 1)])
async def test_the_provider_itself_says_whether_to_ask_again(openai: Desk, word: str, attempts: int) -> None:
    status = 400 if word == "true" else 500
    _always(openai, status=status, headers={"x-should-retry": word})
    await openai.failed()
    assert len(openai.upstream.requests) == attempts


async def test_no_attempt_begins_that_cannot_be_finished(openai: Desk) -> None:
    await openai.gateway.channel.channel_ready()
    error = await openai.failed(timeout=0.12)
    assert refusal_of(error) in (Refusal("DEADLINE_EXCEEDED", "DEADLINE"), Refusal("DEADLINE_EXCEEDED"))
    await openai.gateway.house.gateway.drained()
    assert openai.upstream.requests == []
    await _finds_nothing_charged(openai)


async def test_an_outage_is_not_multiplied(openai: Desk) -> None:
    _always(openai, status=500)
    refusals = [refusal_of(await openai.failed()) for _ in range(20)]
    assert refusals[0] == EXHAUSTED
    assert refusals[-1] == Refusal("UNAVAILABLE", "CIRCUIT_OPEN")
    assert len(openai.upstream.requests) <= 20 * 1.2 + 3
    await _finds_nothing_charged(openai)


# Answers that are none.


NONSENSE = (
    (b"<html><body>Bad gateway</body></html>", "text/html"),
    (b"<html>", "application/json"),
    (b"", "application/json"),
    (b"", "text/event-stream"),
    (b"null", "application/json"),
    (b"{}", "application/json"),
    (b"[]", "application/json"),
    (b'"text"', "application/json"),
    (b'{"choices": {"0": 1}, "content": 5, "candidates": "x"}', "application/json"),
    (b'{"choices": [[]], "content": [[]], "candidates": [[]]}', "application/json"),
    (b'{"choices": [null], "content": [null], "candidates": [null]}', "application/json"),
    (b"[" * 100_000, "application/json"),
    (b'{"a": ' * 100_000, "application/json"),
    (b'{"usage": ' + b"9" * 5000 + b"}", "application/json"),
    (b'{"content": "\xff\xfe"}', "application/json"),
    (b"data: {\n\n", "text/event-stream"),
    (b'data: {"choices": 1, "candidates": 1, "type": 1}\n\n', "text/event-stream"),
    (b"data: " + b"[" * 100_000 + b"\n\n", "text/event-stream"),
    (b"data: \xff\xfe\n\n", "text/event-stream"),
    (b"\0" * 1000, "application/octet-stream"),
)


async def test_a_good_status_with_nonsense_is_a_broken_provider(desk: Desk) -> None:
    desk.attempts_max = 1
    for body, content_type in NONSENSE:
        _always(desk, body, headers={"content-type": content_type})
        for error in (await desk.failed(), (await desk.listen()).error):
            assert error is not None, (body, content_type)
            assert refusal_of(error) == EXHAUSTED
            [failure] = detail_of(error, errors_pb2.UpstreamFailures).failures
            assert failure.kind == "BROKEN"
    await _finds_nothing_charged(desk)


async def test_an_error_object_with_status_200(desk: Desk) -> None:
    desk.attempts_max = 1
    _always(desk, json=desk.dialect.error("sk-canary"))
    error = await desk.failed()
    assert refusal_of(error) == EXHAUSTED
    assert "canary" not in repr(error)
    await _finds_nothing_charged(desk)


async def test_a_whole_answer_to_a_question_for_a_stream_is_a_stream(desk: Desk) -> None:
    if desk.dialect.provider == "gemini":
        desk.upstream.reply(json=[desk.dialect.whole("fine", 1)])
    else:
        _well(desk)
    heard = await desk.listen()
    assert (heard.text, heard.completed.usage.output_tokens) == ("fine", 1)
    await _finds_charged(desk, desk.charge(1))


async def test_nonsense_once_is_not_noticed(desk: Desk) -> None:
    desk.upstream.reply(b"<html>", headers={"content-type": "text/html"})
    desk.upstream.stream(desk.dialect.stream("a", "b"))
    heard = await desk.listen()
    assert (heard.text, len(heard.completed.attempts)) == ("ab", 2)
    await _finds_charged(desk, desk.charge(2))


# Streams that are cut strangely, and whole nevertheless.


def _bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _crlf(data: bytes) -> list[bytes]:
    return [data.replace(b"\n", b"\r\n")]


def _commented(data: bytes) -> list[bytes]:
    return [b": ping\n\n" + data.replace(b"\n\n", b"\n\n: keep-alive\nretry: 5\nid: 7\n\n")]


def _in_halves(data: bytes) -> list[bytes]:
    """Cut in the middle of a code point."""
    middle = data.index("é".encode()) + 1
    return [data[:middle], data[middle:]]


def _inside_the_field_name(data: bytes) -> list[bytes]:
    return [piece for part in data.split(b"da") for piece in (part, b"da")][:-1]


@pytest.mark.parametrize("mangle", [_bytewise, _crlf, _commented, _in_halves, _inside_the_field_name])
async def test_text_is_exact_however_the_bytes_come(desk: Desk, mangle: Any) -> None:
    texts = ("Café ", "日本 ", "\U0001f600\u0301", " end\r\n\n")
    pieces: Sequence[Step] = mangle(b"".join(desk.dialect.stream(*texts)))
    desk.upstream.stream(pieces)
    heard = await desk.listen()
    assert heard.text == "".join(texts)
    assert heard.completed.usage.output_tokens == 4
    await _finds_charged(desk, desk.charge(4))


async def test_a_double_end_mark_is_one_end(openai: Desk) -> None:
    openai.upstream.stream([*openai.dialect.stream("a"), b"data: [DONE]\n\n", b"data: [DONE]\n\n"])
    heard = await openai.listen()
    assert (heard.text, heard.kinds.count("candidate_completed")) == ("a", 1)
    await _finds_charged(openai, openai.charge(1))


async def test_an_end_mark_may_be_missing_once_the_reason_was_told(openai: Desk) -> None:
    whole = b"".join(openai.dialect.stream("a")).removesuffix(b"data: [DONE]\n\n")
    openai.upstream.stream([whole])
    assert (await openai.listen()).text == "a"
    await _finds_charged(openai, openai.charge(1))


@pytest.mark.parametrize("body", [b"data: " + b"x" * 10 * MIB + b"\n\n", b"x" * 10 * MIB])
async def test_a_line_of_10_mb_is_broken(openai: Desk, body: bytes) -> None:
    openai.upstream.respond(lambda _: openai.upstream.whole(body, headers={"content-type": "text/event-stream"}))
    heard = await openai.listen()
    assert heard.error is not None
    assert refusal_of(heard.error) == EXHAUSTED
    await _finds_nothing_charged(openai)


# Streams that break off.


@pytest.mark.parametrize("cut", [RESET, CLOSE, None], ids=["reset", "close", "ended"])
async def test_a_stream_that_breaks_off_after_three_words(desk: Desk, cut: Step | None) -> None:
    said = asyncio.Event()
    pieces: list[Step] = [desk.dialect.opening(), *map(desk.dialect.delta, THREE_WORDS), said]
    desk.upstream.stream([*pieces, cut] if cut else pieces)
    call = desk.stream()
    events = await _hears_three_words(call)
    said.set()
    error = await _rest(call)
    assert refusal_of(error) == INTERRUPTED
    partial = detail_of(error, errors_pb2.PartialResult)
    assert partial.last_sequence == events[-1].sequence
    assert partial.completion_id == events[0].started.completion_id
    assert abs(partial.usage.output_tokens - 3) <= 1
    assert partial.usage.source == usage_pb2.USAGE_SOURCE_ESTIMATED
    assert dict(error.trailing_metadata() or ())["x-trunkline-charge"] == to_decimal_text(partial.charge.nanos)
    assert len(desk.upstream.requests) == 1
    await _finds_charged(desk, partial.charge.nanos)


async def _hears_three_words(call: Any) -> list[chat_pb2.ChatEvent]:
    events: list[chat_pb2.ChatEvent] = []
    while "".join(event.part_delta.text for event in events) != "".join(THREE_WORDS):
        events.append((await call.read()).event)
    return events


async def _rest(call: Any) -> grpc.aio.AioRpcError:
    """The error that a stream ends with; no event comes before it."""
    try:
        event = await call.read()
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"no error, but {event}")


async def test_an_error_event_after_three_words(desk: Desk) -> None:
    if desk.dialect.provider == "anthropic":
        broken = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"sk-canary"}}\n\n'
    else:
        broken = b'data: {"error": {"message": "sk-canary", "code": 500, "status": "INTERNAL"}}\n\n'
    said = asyncio.Event()
    desk.upstream.stream([desk.dialect.opening(), *map(desk.dialect.delta, THREE_WORDS), said, broken])
    call = desk.stream()
    await _hears_three_words(call)
    said.set()
    error = await _rest(call)
    assert refusal_of(error) == INTERRUPTED
    assert "canary" not in repr(error)
    [charge] = await desk.books.charges()
    assert charge == detail_of(error, errors_pb2.PartialResult).charge.nanos
    assert len(desk.upstream.requests) == 1


async def test_words_that_came_together_with_the_error_were_not_heard_and_are_not_charged(desk: Desk) -> None:
    broken = b"event: error\ndata: " + json.dumps(desk.dialect.error("sk-canary")).encode() + b"\n\n"
    together = b"".join((desk.dialect.opening(), *map(desk.dialect.delta, THREE_WORDS), broken))
    desk.upstream.respond(lambda _: desk.upstream.whole(together, headers={"content-type": "text/event-stream"}))
    heard = await desk.listen()
    assert heard.error is not None
    assert (heard.events, refusal_of(heard.error)) == ([], EXHAUSTED)
    assert "canary" not in repr(heard.error)
    reported_early = desk.dialect.provider == "anthropic"
    await (_finds_charged(desk, desk.charge(1)) if reported_early else _finds_nothing_charged(desk))


async def test_a_stream_that_stops_before_its_first_word_is_asked_again(desk: Desk) -> None:
    desk.upstream.stream([desk.dialect.opening(), RESET])
    desk.upstream.stream(desk.dialect.stream("a"))
    heard = await desk.listen()
    assert (heard.text, len(heard.completed.attempts)) == ("a", 2)
    await _finds_charged(desk, desk.charge(1))


async def test_a_reset_before_any_byte(desk: Desk) -> None:
    for _ in range(2):
        desk.upstream.raw(RESET)
    error = await desk.failed()
    assert refusal_of(error) == EXHAUSTED
    assert {each.kind for each in detail_of(error, errors_pb2.UpstreamFailures).failures} == {"AMBIGUOUS"}
    await _finds_nothing_charged(desk)


async def test_a_provider_that_is_not_there(books: Books, start_gateway: StartGateway) -> None:
    async with Upstream() as gone:
        url = gone.url
    gateway = await start_gateway(DIALECTS[0].environment(url))
    desk = Desk(gateway, gone, books, DIALECTS[0])
    error = await desk.failed()
    assert refusal_of(error) == EXHAUSTED
    assert {each.kind for each in detail_of(error, errors_pb2.UpstreamFailures).failures} == {"NEVER_SENT"}
    await _finds_nothing_charged(desk)


# Silence.


async def test_silence_before_the_head_of_a_stream(desk: Desk) -> None:
    answer = desk.upstream.hang()
    heard = await desk.listen()
    assert heard.error is not None
    assert refusal_of(heard.error) == EXHAUSTED
    [failure] = detail_of(heard.error, errors_pb2.UpstreamFailures).failures
    assert failure.kind == "TIMEOUT_FIRST_TOKEN"
    await answer.client_left()
    await _finds_nothing_charged(desk)


async def test_silence_after_the_head_of_a_stream(desk: Desk) -> None:
    desk.upstream.stream([b": hello\n\n", asyncio.Event()])
    heard = await desk.listen()
    assert heard.error is not None
    assert refusal_of(heard.error) == EXHAUSTED
    await _finds_nothing_charged(desk)


async def test_silence_after_three_words(desk: Desk) -> None:
    answer = desk.upstream.stream([desk.dialect.opening(), *map(desk.dialect.delta, THREE_WORDS), asyncio.Event()])
    heard = await desk.listen()
    assert heard.error is not None
    assert (heard.text, refusal_of(heard.error)) == ("one two three", INTERRUPTED)
    await answer.client_left()
    [charge] = await desk.books.charges()
    assert charge == detail_of(heard.error, errors_pb2.PartialResult).charge.nanos > 0


async def test_silence_ends_with_the_callers_deadline(desk: Desk) -> None:
    answer = desk.upstream.hang()
    begun = time.monotonic()
    error = await desk.failed(timeout=0.5)
    assert time.monotonic() - begun < 1.0
    assert error.code().name == "DEADLINE_EXCEEDED"
    await answer.client_left()
    [charge] = await _eventually_charged(desk)
    assert charge < desk.charge(10)


async def _eventually_charged(desk: Desk) -> list[int]:
    """The caller's own clock may end the call before the bill is written."""
    await desk.gateway.house.gateway.drained()
    return await desk.books.charges()


# Too much.


async def test_tokens_without_end_are_cut_at_the_cap(desk: Desk) -> None:
    endless = [desk.dialect.delta("word ")] * 20_000
    answer = desk.upstream.stream([desk.dialect.opening(), *endless])
    input = desk.question(sampling=chat_pb2.Sampling(max_output_tokens=100))
    call = desk.gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=desk.gateway.metadata("ada"))
    events = [response.event async for response in call]
    await answer.client_left()
    ending = next(event.candidate_completed for event in events if event.HasField("candidate_completed"))
    assert ending.finish_reason == chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS
    assert events[-1].completed.outcome == chat_pb2.OUTCOME_TRUNCATED
    assert events[-1].completed.usage.output_tokens >= 100
    await desk.books.audit()


async def test_a_body_of_1_gb_is_not_read_to_its_end(desk: Desk) -> None:
    def big(_: Any) -> Answer:
        lines = {"content-type": "application/json", "content-length": str(1024 * MIB)}
        answers.append(Answer([head(200, lines), *[b" " * MIB] * 1024], keep_alive=False))
        return answers[-1]

    answers: list[Answer] = []
    desk.upstream.respond(big)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal_of(await desk.failed()) == EXHAUSTED
    for answer in answers:
        await answer.client_left()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 256 * 1024
    await _finds_nothing_charged(desk)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_a_gzip_bomb_is_not_unpacked(openai: Desk, content_type: str) -> None:
    bomb = gzip.compress(b" " * 16 * MIB, 6) * 32
    headers = {"content-encoding": "gzip", "content-type": content_type}
    openai.upstream.respond(lambda _: openai.upstream.whole(bomb, headers=headers))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal_of(await openai.failed()) == EXHAUSTED
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 256 * 1024
    await _finds_nothing_charged(openai)


async def test_a_head_without_end_is_broken(openai: Desk) -> None:
    openai.upstream.respond(lambda _: openai.upstream.whole(headers={"x-long": "y" * 200_000}))
    assert refusal_of(await openai.failed()) == EXHAUSTED
    await _finds_nothing_charged(openai)


# Elsewhere.


async def test_a_redirect_is_not_followed(desk: Desk) -> None:
    desk.attempts_max = 1
    async with Upstream() as elsewhere:
        for status in (301, 302, 307, 308):
            _always(desk, status=status, headers={"location": f"{elsewhere.url}/latest/meta-data"})
            error = await desk.failed()
            assert refusal_of(error) == EXHAUSTED
            failures = detail_of(error, errors_pb2.UpstreamFailures).failures
            assert {(each.kind, each.http_status) for each in failures} == {("BROKEN", status)}
        assert elsewhere.requests == []
    await _finds_nothing_charged(desk)


async def test_a_redirect_to_the_metadata_address_is_not_followed(desk: Desk) -> None:
    _always(desk, status=302, headers={"location": "http://169.254.169.254/latest/meta-data"})
    assert refusal_of(await desk.failed()) == EXHAUSTED


async def test_cookies_are_not_kept(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    dialect = DIALECTS[0]
    gateway = await start_gateway(dialect.environment(f"http://localhost:{upstream.port}"))
    desk = Desk(gateway, upstream, books, dialect)
    upstream.respond(lambda _: upstream.whole(json=dialect.whole("fine", 1), headers={"set-cookie": "a=b; Path=/"}))
    for _ in range(2):
        await desk.complete()
    assert [request.headers.get("cookie") for request in upstream.requests] == [None, None]


async def test_reasons_are_never_unknown_or_internal(desk: Desk) -> None:
    """Every status that has a body, with one that says nothing."""
    desk.attempts_max = 1
    for status in (*range(201, 204), *range(300, 304), *range(400, 419), 421, 426, 428, 431, 451, *range(500, 512)):
        _always(desk, status=status)
        error = await desk.failed()
        assert error.code().name not in ("UNKNOWN", "INTERNAL"), status
    await _finds_nothing_charged(desk)
