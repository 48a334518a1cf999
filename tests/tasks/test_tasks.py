"""Tasks over the socket: typed results of a model that reads; long texts, budgets, bills, prompts of one's own."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of
from tests.fixtures.jobs import ended
from tests.fixtures.reader import Reader
from trunkline.v1 import (
    batches_pb2,
    chat_pb2,
    guard_pb2,
    jobs_pb2,
    moderation_pb2,
    prompts_pb2,
    tasks_pb2,
    usage_pb2,
)

LABELS = [tasks_pb2.ClassLabel(name=name) for name in ("spam", "ham")]


async def classify(gateway: RunningGateway, text: str, **fields: Any) -> tasks_pb2.ClassifyResponse:
    options = fields.pop("options", None)
    given = tasks_pb2.ClassifyInput(text=text, **{"labels": LABELS, **fields})
    request = tasks_pb2.ClassifyRequest(classify=given, options=options)
    return await gateway.tasks.Classify(request, metadata=gateway.metadata("ada"))


async def extract(gateway: RunningGateway, text: str, **fields: Any) -> tasks_pb2.ExtractResponse:
    request = tasks_pb2.ExtractRequest(extract=tasks_pb2.ExtractInput(text=text, **fields))
    return await gateway.tasks.Extract(request, metadata=gateway.metadata("ada"))


async def summarize(gateway: RunningGateway, text: str, **options: Any) -> tasks_pb2.SummarizeResponse:
    given = tasks_pb2.SummarizeInput(text=text)
    request = tasks_pb2.SummarizeRequest(summarize=given, options=tasks_pb2.TaskOptions(**options))
    return await gateway.tasks.Summarize(request, metadata=gateway.metadata("ada"))


async def translate(gateway: RunningGateway, text: str, **options: Any) -> tasks_pb2.TranslateResponse:
    given = tasks_pb2.TranslateInput(text=text, target_language="de")
    request = tasks_pb2.TranslateRequest(translate=given, options=tasks_pb2.TaskOptions(**options))
    return await gateway.tasks.Translate(request, metadata=gateway.metadata("ada"))


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


def credits(nanos: int) -> usage_pb2.Amount:
    return usage_pb2.Amount(unit="CREDIT", nanos=nanos)


# Each task.


async def test_classify_says_how_well_each_label_fits(reading: RunningGateway) -> None:
    told = await classify(reading, "spam spam ham")
    assert (told.result.label, list(told.result.labels)) == ("spam", ["spam"])
    assert [(each.label, each.score) for each in told.result.scores] == [("spam", 0.2), ("ham", 0.1)]


async def test_several_labels_fit_from_the_threshold_on(reading: RunningGateway) -> None:
    told = await classify(reading, "ham ham ham spam spam", multi_label=True, threshold=0.2)
    assert list(told.result.labels) == ["ham", "spam"]


async def test_sentiments_and_topics_need_no_labels(reading: RunningGateway, reader: Reader) -> None:
    sentiment = await classify(reading, "positive", kind=tasks_pb2.CLASSIFY_KIND_SENTIMENT, labels=[])
    topic = await classify(reading, "anything", kind=tasks_pb2.CLASSIFY_KIND_TOPIC, labels=[])
    assert (sentiment.result.label, len(sentiment.result.scores)) == ("positive", 4)
    assert topic.result.label == "topic"
    assert reader.asked[0]["temperature"] == 0


async def test_extract_finds_typed_fields(reading: RunningGateway) -> None:
    kinds = {
        "name": "STRING",
        "price": "NUMBER",
        "count": "INTEGER",
        "sold": "BOOLEAN",
        "day": "DATE",
        "tag": "STRING_LIST",
    }
    fields = [
        tasks_pb2.ExtractField(name=name, type=tasks_pb2.ExtractType.Value(f"EXTRACT_TYPE_{kind}"))
        for name, kind in {**kinds, "lacking": "STRING"}.items()
    ]
    text = "name: lamp\nprice: 1.5\ncount: 7\nsold: true\nday: 2031-12-24\ntag: red\ntag: blue"
    found = (await extract(reading, text, fields=fields)).result
    by_name = {each.name: each for each in found.fields}
    assert list(by_name) == list(kinds)
    assert (by_name["name"].text, by_name["price"].number, by_name["count"].integer) == ("lamp", 1.5, 7)
    assert (by_name["sold"].boolean, by_name["day"].text) == (True, "2031-12-24")
    assert list(by_name["tag"].list.values) == ["red", "blue"]
    assert found.json.startswith('{"name":"lamp","price":1.5')


async def test_a_required_field_that_is_in_no_piece_is_an_error(reading: RunningGateway) -> None:
    needed = [tasks_pb2.ExtractField(name="name", required=True)]
    long = "\n".join(["there is nothing here at all"] * 80)
    found = (await extract(reading, f"{long}\nname: lamp", fields=needed)).result
    assert found.fields[0].text == "lamp"
    assert await refused(extract(reading, long, fields=needed)) == "OUTPUT_INVALID"


async def test_extract_by_schema_puts_pieces_together(reading: RunningGateway) -> None:
    schema = '{"type": "object", "additionalProperties": {"type": "array"}}'
    filling = "\n".join(["and so on it goes, line by line"] * 40)
    told = await extract(reading, f"a: one\n{filling}\na: two\n{filling}\nb: three", json_schema=schema)
    assert told.receipt.piece_count > 1
    assert told.result.json == '{"a":["one","two"],"b":["three"]}'


async def test_code_comes_without_a_fence(reading: RunningGateway) -> None:
    given = tasks_pb2.GenerateCodeInput(language="python", instructions="say hello", context="x = 1")
    request = tasks_pb2.GenerateCodeRequest(generate_code=given)
    told = await reading.tasks.GenerateCode(request, metadata=reading.metadata("ada"))
    assert (told.result.code, told.result.explanation, told.result.language) == ("# say hello", "a remark", "python")


# Long texts.


async def test_a_long_translation_has_every_line_and_blank_of_the_text(reading: RunningGateway) -> None:
    text = "\n\n".join(f"Paragraph {number} says this and that. It ends here." for number in range(60)) + "\n"
    told = await translate(reading, text)
    assert told.receipt.piece_count > 3
    assert told.result.text == text.upper()
    assert len(told.receipt.calls) == told.receipt.piece_count


async def test_summaries_of_pieces_are_summarized_again(reading: RunningGateway, reader: Reader) -> None:
    filling = "\n".join(["words that nobody needs to read again"] * 30)
    told = await summarize(reading, "\n".join(f"keyword{number}\n{filling}" for number in range(3)))
    assert told.result.text == "keyword0 keyword1 keyword2"
    assert len(told.receipt.calls) == told.receipt.piece_count + 1
    assert "keyword0" in reader.texts[-1]
    assert "keyword2" in reader.texts[-1]


async def test_scores_of_pieces_are_weighed_by_their_lengths(reading: RunningGateway) -> None:
    ham = "\n".join(["ham is all that there is in this line"] * 60)
    told = await classify(reading, f"{ham}\nspam spam")
    assert told.receipt.piece_count > 2
    assert told.result.label == "ham"
    assert told.result.scores[0].score > 5 * told.result.scores[1].score


# Money.


async def test_the_bill_is_that_of_all_calls(books: Books, reading: RunningGateway) -> None:
    text = "\n\n".join(["One more paragraph of this text, and then another."] * 60)
    call = reading.tasks.Summarize(
        tasks_pb2.SummarizeRequest(summarize=tasks_pb2.SummarizeInput(text=text)), metadata=reading.metadata("ada")
    )
    receipt = (await call).receipt
    assert receipt.charge.nanos == sum(each.charge.nanos for each in receipt.calls) > 0
    assert receipt.usage.input_tokens == 100 * len(receipt.calls)
    assert dict(await call.trailing_metadata())["x-trunkline-charge"] == f"{receipt.charge.nanos / 1e9:.9f}".rstrip("0")


async def test_max_cost_counts_for_all_calls_together(reading: RunningGateway, reader: Reader) -> None:
    text = "\n\n".join(["One more paragraph of this text, and then another."] * 60)
    whole = (await translate(reading, text)).receipt
    first = len(reader.asked)

    enough = await translate(reading, text, max_cost=credits(whole.charge.nanos * 50))
    refusal = await refused(translate(reading, text, max_cost=credits(whole.charge.nanos * 2 // 3)))

    assert enough.result.text == text.upper()
    assert refusal == "CREDIT_INSUFFICIENT"
    assert len(reader.asked) < first + 2 * whole.piece_count


async def test_kept_answers_are_used_when_that_is_asked_for(reading: RunningGateway, reader: Reader) -> None:
    cache = chat_pb2.CachePolicy(ttl=Duration(seconds=60))
    first = await summarize(reading, "the keynote", cache=cache)
    second = await summarize(reading, "the keynote", cache=cache)
    assert (first.receipt.from_cache, second.receipt.from_cache) == (False, True)
    assert first.result == second.result
    assert second.receipt.charge.nanos == 0
    assert len(reader.asked) == 1


# Answers of the wrong form.


async def test_a_wrong_answer_is_asked_for_once_more(reading: RunningGateway, reader: Reader) -> None:
    reader.wrong = 1
    told = await summarize(reading, "the keynote")
    assert (told.result.text, len(reader.asked), len(told.receipt.calls)) == ("keynote", 2, 1)
    reader.wrong = 2
    assert await refused(summarize(reading, "the keynote")) == "OUTPUT_INVALID"


async def test_a_model_that_takes_no_form_is_told_it_in_words(reading: RunningGateway, reader: Reader) -> None:
    reader.formal = False
    text = "\n\n".join(["One more paragraph of this text, and then another."] * 20)
    told = await translate(reading, text, max_cost=credits(10**9))
    assert told.result.text == text.upper()
    assert sum("response_format" in each for each in reader.asked) == 1
    assert len(told.receipt.calls) == told.receipt.piece_count > 1


async def test_what_it_is_told_in_words_is_asked_for_once_more_too(reading: RunningGateway, reader: Reader) -> None:
    reader.formal, reader.wrong = False, 1
    assert (await summarize(reading, "the keynote")).result.text == "keynote"
    reader.wrong = 2
    assert await refused(summarize(reading, "the keynote")) == "OUTPUT_INVALID"


# Models and prompts.


async def test_a_task_needs_a_model(gateway: RunningGateway) -> None:
    assert await refused(summarize(gateway, "text")) == "VALIDATION"
    assert await refused(summarize(gateway, "text", model="sandbox/nothing")) == "MODEL_NOT_FOUND"


async def test_the_operators_models_stand_in_for_each_other(start_gateway: StartGateway) -> None:
    models = '{"default": ["sandbox/echo"], "summarize": ["sandbox/down", "sandbox/json"]}'
    gateway = await start_gateway(tasks={"models": models})
    told = await summarize(gateway, "text")
    assert [call.model for call in told.receipt.calls] == ["json"]
    assert told.result.text


@pytest.mark.parametrize("task", ["classify", "extract", "summarize", "translate", "generate_code"])
async def test_the_sandbox_answers_every_task(gateway: RunningGateway, task: str) -> None:
    options = tasks_pb2.TaskOptions(model="sandbox/json")
    fields = [tasks_pb2.ExtractField(name="day", type=tasks_pb2.EXTRACT_TYPE_DATE, required=True)]
    if task == "classify":
        assert (await classify(gateway, "text", options=options)).result.label in ("spam", "ham")
    elif task == "extract":
        request = tasks_pb2.ExtractRequest(extract=tasks_pb2.ExtractInput(text="t", fields=fields), options=options)
        found = await gateway.tasks.Extract(request, metadata=gateway.metadata())
        assert found.result.fields[0].text == "2031-12-24"
    elif task == "summarize":
        assert (await summarize(gateway, "text", model="sandbox/json")).result.text
    elif task == "translate":
        assert (await translate(gateway, "text", model="sandbox/json")).result.text
    else:
        given = tasks_pb2.GenerateCodeInput(language="python", instructions="hello")
        written = tasks_pb2.GenerateCodeRequest(generate_code=given, options=options)
        assert (await gateway.tasks.GenerateCode(written, metadata=gateway.metadata())).result.code


async def test_a_prompt_of_the_tenants_own_takes_the_place_of_ours(reading: RunningGateway, reader: Reader) -> None:
    before = await summarize(reading, "the keynote")
    own = question("Only keywords, {length}:\n<text>\n{text}\n</text>").messages
    made = prompts_pb2.CreatePromptRequest(name="tasks/summarize", messages=own)
    prompt = (await reading.prompts.CreatePrompt(made, metadata=reading.metadata())).prompt

    after = await summarize(reading, "the {length} keynote")

    assert (before.receipt.prompt.name, before.receipt.prompt.prompt_id) == ("tasks/summarize", "")
    assert (after.receipt.prompt.prompt_id, after.receipt.prompt.version) == (prompt.prompt_id, 1)
    assert reader.texts[-1] == "the {length} keynote"
    assert [message["role"] for message in reader.asked[-1]["messages"]] == ["user"]


async def test_what_lies_between_fields_is_checked(reading: RunningGateway, reader: Reader) -> None:
    field = tasks_pb2.ExtractField(name="a")
    for wrong in (
        classify(reading, "t", labels=LABELS[:1]),
        classify(reading, "t", labels=[*LABELS, LABELS[0]]),
        classify(reading, "t", kind=tasks_pb2.CLASSIFY_KIND_SENTIMENT),
        classify(reading, "t", examples=[tasks_pb2.ClassExample(text="t", label="eggs")]),
        extract(reading, "t"),
        extract(reading, "t", fields=[field], json_schema="{}"),
        extract(reading, "t", fields=[field, field]),
        extract(reading, "t", json_schema='{"type": "array"}'),
        extract(reading, "t", json_schema="{"),
        summarize(reading, "t", max_cost=usage_pb2.Amount(unit="USD", nanos=1)),
    ):
        assert await refused(wrong) == "VALIDATION"
    assert reader.asked == []


# Guards.


def guard(action: guard_pb2.GuardAction.ValueType) -> guard_pb2.Guard:
    rule = guard_pb2.GuardRule(personal_data=guard_pb2.GUARD_LEVEL_STANDARD, action=action)
    return guard_pb2.Guard(output=rule)


async def test_results_are_guarded_by_the_tenants_policy(reading: RunningGateway) -> None:
    fields = [tasks_pb2.ExtractField(name="from")]
    policy = guard_pb2.GuardPolicy(guard=guard(guard_pb2.GUARD_ACTION_REDACT))
    request = moderation_pb2.SetGuardPolicyRequest(policy=policy)
    await reading.moderation.SetGuardPolicy(request, metadata=reading.metadata())
    told = await extract(reading, "from: ann@example.org", fields=fields)
    assert told.result.fields[0].text == "[EMAIL]"
    (call,) = told.receipt.calls
    assert [(each.kind, each.in_answer, each.count) for each in call.guard_findings] == [("EMAIL", True, 1)]


async def test_a_task_may_ask_for_a_guard_of_its_own(reading: RunningGateway, reader: Reader) -> None:
    masking = guard_pb2.Guard(input=guard(guard_pb2.GUARD_ACTION_MASK).output)
    told = await translate(reading, "To ann@example.org", guard=masking)
    assert "example" not in reader.texts[0]
    (call,) = told.receipt.calls
    assert [(each.kind, each.in_answer) for each in call.guard_findings] == [("EMAIL", False)]
    refusing = guard(guard_pb2.GUARD_ACTION_REFUSE)
    assert await refused(translate(reading, "To ann@example.org", guard=refusing)) == "PII_DETECTED"
    harmless = guard_pb2.Guard(output=guard_pb2.GuardRule(harm=guard_pb2.GUARD_LEVEL_STANDARD))
    assert await refused(translate(reading, "how to build a pipe bomb", guard=harmless)) == "CONTENT_BLOCKED"


@pytest.mark.parametrize("told", [{"finish_reason": "content_filter"}, {"refusal": "I would rather not."}])
async def test_what_a_provider_withholds_is_told_as_its_doing(
    reading: RunningGateway, reader: Reader, told: dict[str, str]
) -> None:
    message = {"role": "assistant", "content": None, "refusal": told.get("refusal")}
    reader.upstream.reply(json={"choices": [{"message": message, "finish_reason": told.get("finish_reason", "stop")}]})
    assert await refused(summarize(reading, "the keynote")) == "PROVIDER_REJECTED"
    assert len(reader.upstream.requests) == 1, "another form would not change its mind"


# Jobs.


async def test_a_task_is_done_as_a_job_and_paid_whole(books: Books, reading: RunningGateway) -> None:
    text = "\n\n".join(["One more paragraph of this text, and then another."] * 60)
    task = tasks_pb2.TaskInput(translate=tasks_pb2.TranslateInput(text=text, target_language="de"))
    request = jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(task=task))
    made = (await reading.jobs.CreateJob(request, metadata=reading.metadata("ada"))).job

    job = await ended(reading, made.job_id)

    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job.error
    assert job.result.task.translate.text == text.upper()
    assert job.charge.nanos == job.result.task.receipt.charge.nanos > 0
    assert len(job.result.task.receipt.calls) > 1
    assert (job.usage, job.cost) == (job.result.task.receipt.usage, job.result.task.receipt.cost)


async def test_a_job_that_could_not_be_asked_is_not_made(reading: RunningGateway) -> None:
    cached = tasks_pb2.TaskOptions(cache=chat_pb2.CachePolicy())
    for task in (
        tasks_pb2.TaskInput(classify=tasks_pb2.ClassifyInput(text="t")),
        tasks_pb2.TaskInput(summarize=tasks_pb2.SummarizeInput(text="t"), options=cached),
    ):
        request = jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(task=task))
        assert await refused(reading.jobs.CreateJob(request, metadata=reading.metadata())) == "VALIDATION"


async def test_many_texts_are_a_batch(reading: RunningGateway) -> None:
    specs = [
        jobs_pb2.JobSpec(task=tasks_pb2.TaskInput(summarize=tasks_pb2.SummarizeInput(text=f"the keyword{number}")))
        for number in range(3)
    ]
    items = [batches_pb2.BatchItemSpec(custom_id=f"n{number}", spec=each) for number, each in enumerate(specs)]
    request = batches_pb2.CreateBatchRequest(items=items)
    batch_id = (await reading.batches.CreateBatch(request, metadata=reading.metadata("ada"))).batch.batch_id

    watch = batches_pb2.WatchBatchRequest(batch_id=batch_id)
    async for _ in reading.batches.WatchBatch(watch, metadata=reading.metadata(), timeout=50):
        pass
    page = await reading.batches.ListBatchItems(
        batches_pb2.ListBatchItemsRequest(batch_id=batch_id), metadata=reading.metadata()
    )

    assert [item.result.task.summarize.text for item in page.items] == ["keyword0", "keyword1", "keyword2"]
