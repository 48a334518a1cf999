"""ImageService over a socket: pictures and their bills, and that no picture is asked for twice."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import USER
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import CLOSE, RESET, Received, Upstream
from trunkline.v1 import chat_pb2, content_pb2, images_pb2, models_pb2, usage_pb2
from trunkline_server.core.media import sniff
from trunkline_server.providers.sandbox.png import png
from trunkline_server.wire.fal.queue import QueueCraft

OPENAI = "openai/gpt-image-1"
STABILITY = "stability/core"
FAL = "fal/fal-ai/flux/dev"
SANDBOX_NANOS = 10_000_000  # for a picture
STABILITY_NANOS = 30_000_000
FAL_NANOS = 25_000_000
PNG = png("a fox", 8, 8)
MADE = {"data": [{"b64_json": b64encode(PNG).decode()}], "output_format": "png"}
USED = {"input_tokens": 10, "output_tokens": 1000, "input_tokens_details": {"text_tokens": 10, "image_tokens": 0}}
OPENAI_NANOS = 10 * 5_000 + 1000 * 40_000


def wanted(model: str = "sandbox/picture", **fields: Any) -> images_pb2.GenerateImagesRequest:
    return images_pb2.GenerateImagesRequest(input=images_pb2.ImageInput(model=model, prompt="a fox", **fields))


def changed(model: str = "sandbox/picture", **fields: Any) -> images_pb2.EditImagesRequest:
    given = {"images": [content_pb2.Blob(data=PNG, media_type="image/png")], **fields}
    return images_pb2.EditImagesRequest(input=images_pb2.ImageInput(model=model, prompt="a fox", **given))


def script(**lines: Any) -> dict[str, str]:
    return {"sandbox": json.dumps({"script": lines})}


@pytest.fixture
async def calling(start_gateway: StartGateway, upstream: Upstream, books: Books) -> RunningGateway:
    return await start_gateway(keys(upstream))


def keys(upstream: Upstream) -> dict[str, str]:
    names = {"OPENAI": f"{upstream.url}/v1", "STABILITY": upstream.url, "FAL": upstream.url}
    return {f"{name}_API_KEY": "sk-x" for name in names} | {f"{name}_BASE_URL": url for name, url in names.items()}


async def made(gateway: RunningGateway, request: images_pb2.GenerateImagesRequest) -> images_pb2.GenerateImagesResponse:
    response: images_pb2.GenerateImagesResponse
    response = await gateway.images.GenerateImages(request, metadata=gateway.metadata(USER))
    return response


async def edited(gateway: RunningGateway, request: images_pb2.EditImagesRequest) -> images_pb2.EditImagesResponse:
    response: images_pb2.EditImagesResponse
    response = await gateway.images.EditImages(request, metadata=gateway.metadata(USER))
    return response


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


# What comes back, and what it costs.


async def test_pictures_with_their_bytes_and_a_bill(gateway: RunningGateway, books: Books) -> None:
    response = await made(gateway, wanted(image_count=3, size="16x12"))
    assert [sniff(image.blob.data) for image in response.images] == ["image/png"] * 3
    assert len({image.blob.data for image in response.images}) == 3
    receipt = response.receipt
    assert (receipt.provider, receipt.model, receipt.outcome) == ("sandbox", "picture", chat_pb2.OUTCOME_COMPLETED)
    assert receipt.usage.unit_counts["images"] == 3
    assert receipt.charge.nanos == 3 * SANDBOX_NANOS
    assert await books.charges() == [3 * SANDBOX_NANOS]
    [row] = await books.usage()
    assert (row["operation"], row["outcome"], row["charge_nanos"]) == ("image", "OUTCOME_COMPLETED", 3 * SANDBOX_NANOS)


async def test_addresses_where_they_are_wanted(gateway: RunningGateway, books: Books) -> None:
    response = await made(gateway, wanted(as_uri=True))
    assert [image.blob.WhichOneof("source") for image in response.images] == ["uri"]


async def test_what_is_changed_depends_on_what_it_was(gateway: RunningGateway, books: Books) -> None:
    one = await edited(gateway, changed(size="16x16"))
    other = await edited(gateway, changed(size="16x16", images=[content_pb2.Blob(data=png("owl", 8, 8))]))
    assert one.images[0].blob.data != other.images[0].blob.data
    assert [row["operation"] for row in await books.usage()] == ["image_edit"] * 2
    assert await books.charges() == [SANDBOX_NANOS] * 2


async def test_tokens_are_billed_as_the_provider_tells_them(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    upstream.reply(json={**MADE, "usage": USED})
    response = await made(calling, wanted(OPENAI))
    assert response.images[0].blob.data == PNG
    assert response.receipt.usage.source == usage_pb2.USAGE_SOURCE_PROVIDER
    assert response.receipt.charge.nanos == OPENAI_NANOS == (await books.charges())[0]
    [row] = await books.usage()
    assert (row["basis"], row["output_tokens"]) == ("provider_usage", 1000)
    assert json.loads(row["unit_counts"]) == {"output_image": 1000}


async def test_without_usage_they_are_counted(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(json=MADE)
    receipt = (await made(calling, wanted(OPENAI))).receipt
    assert [warning.code for warning in receipt.warnings] == [chat_pb2.WARNING_CODE_USAGE_ESTIMATED]
    assert receipt.usage.source == usage_pb2.USAGE_SOURCE_ESTIMATED
    assert receipt.charge.nanos > 1000 * 40_000


async def test_pictures_are_billed_by_the_piece(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    """This provider makes one at a time."""
    upstream.respond(lambda _: upstream.whole(PNG, headers={"content-type": "image/png", "seed": "7"}))
    response = await made(calling, wanted(STABILITY, image_count=2, seed=5))
    assert [image.seed for image in response.images] == [7, 7]
    assert len(upstream.requests) == 2
    assert response.receipt.charge.nanos == 2 * STABILITY_NANOS == (await books.charges())[0]
    assert response.receipt.usage.unit_counts["images"] == 2


async def test_a_picture_that_is_withheld_is_told_and_paid(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    upstream.reply(PNG, headers={"content-type": "image/png", "finish-reason": "CONTENT_FILTERED"})
    response = await made(calling, wanted(STABILITY))
    assert response.images[0].filtered
    assert response.receipt.outcome == chat_pb2.OUTCOME_FILTERED
    assert [row["outcome"] for row in await books.usage()] == ["OUTCOME_FILTERED"]
    assert await books.charges() == [STABILITY_NANOS]


async def test_an_unknown_price_is_refused(calling: RunningGateway, upstream: Upstream) -> None:
    assert (await refusal(made(calling, wanted(FAL)))).reason == "PRICE_UNKNOWN"
    assert (await refusal(made(calling, wanted("openai/whisper-1")))).reason == "PRICE_UNKNOWN"
    assert not upstream.requests


async def test_money_is_held_for_the_most_that_it_can_cost(gateway: RunningGateway, books: Books) -> None:
    least = usage_pb2.Amount(unit="CREDIT", nanos=2 * SANDBOX_NANOS)
    assert (await refusal(made(gateway, wanted(image_count=3, max_cost=least)))).reason == "CREDIT_INSUFFICIENT"
    assert (await refusal(made(gateway, wanted(image_count=2, max_cost=least)))) == Refusal("OK")


async def test_a_named_call_happens_once(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(json={**MADE, "usage": USED})
    request = wanted(OPENAI)
    request.request_id = "r1"
    first, second = [await made(calling, request) for _ in range(2)]
    assert first == second
    assert len(upstream.requests) == len(await books.charges()) == 1


# Never twice.


@pytest.mark.parametrize("cut", [RESET, CLOSE])
async def test_what_may_have_happened_is_not_asked_for_again(
    start_gateway: StartGateway, upstream: Upstream, books: Books, cut: Any
) -> None:
    """Neither there nor elsewhere, and it is not charged: nobody has a picture."""
    chains = json.dumps({OPENAI: ["sandbox/picture"]})
    calling = await start_gateway(keys(upstream), routing={"chains": chains})
    upstream.raw(cut)
    assert refusal_of(await failure(made(calling, wanted(OPENAI)))) == Refusal("UNAVAILABLE", "PROVIDERS_EXHAUSTED")
    assert len(upstream.requests) == 1
    assert await books.charges() == []
    [row] = await books.usage()
    assert (row["outcome"], row["attempts"], row["charge_nanos"]) == ("OUTCOME_FAILED", 1, 0)


async def test_what_was_refused_may_be_made_elsewhere(
    start_gateway: StartGateway, upstream: Upstream, books: Books
) -> None:
    chains = json.dumps({OPENAI: ["sandbox/picture"]})
    calling = await start_gateway(keys(upstream), routing={"chains": chains})
    upstream.reply(status=500, json={"error": {"message": "no"}})
    receipt = (await made(calling, wanted(OPENAI))).receipt
    assert receipt.provider == "sandbox"
    assert [attempt.failure_kind for attempt in receipt.attempts] == ["TRANSIENT", ""]
    assert await books.charges() == [SANDBOX_NANOS]


async def test_of_several_those_that_were_made_are_paid(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    upstream.reply(PNG, headers={"content-type": "image/png"})
    upstream.raw(RESET)
    error = await failure(made(calling, wanted(STABILITY, image_count=3)))
    assert refusal_of(error).reason == "PROVIDERS_EXHAUSTED"
    assert len(upstream.requests) == 2
    assert await books.charges() == [STABILITY_NANOS]


async def test_who_leaves_pays_for_what_is_being_made(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    answer = upstream.hang()
    call = calling.images.GenerateImages(wanted(STABILITY), metadata=calling.metadata(USER))
    await answer.asked()
    call.cancel()
    await answer.client_left()

    async def settled() -> bool:
        return len(await books.usage()) == 1

    await until(settled)
    assert await books.charges() == [STABILITY_NANOS]
    assert (await books.usage())[0]["outcome"] == "OUTCOME_CANCELLED"


# The queue.


class Queue:
    """FAL, scripted: what a poll says, and what is fetched in the end."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.polls: list[Any] = []
        self.polled = asyncio.Event()
        upstream.respond(self.answer)

    def answer(self, asked: Received) -> Any:
        place = f"{self.upstream.url}/fal-ai/flux/requests/r1"
        if asked.method == "POST":
            told = {"request_id": "r1", "status_url": f"{place}/status", "response_url": place}
            return self.upstream.whole(json={**told, "cancel_url": f"{place}/cancel"})
        if asked.path.endswith("/status"):
            self.polled.set()
            return self._status()
        if asked.path.endswith("/cancel"):
            return self.upstream.whole(status=202, json={"status": "CANCELLATION_REQUESTED"})
        return self.upstream.whole(json={"images": [{"url": "data:image/png;base64," + b64encode(PNG).decode()}]})

    def _status(self) -> Any:
        state = self.polls.pop(0) if self.polls else "COMPLETED"
        if isinstance(state, int):
            return self.upstream.whole(status=state, json={"detail": "no"})
        return self.upstream.whole(json={"status": state})

    def asked(self, end: str) -> int:
        return sum(request.path.endswith(end) and request.method != "POST" for request in self.upstream.requests)

    @property
    def submitted(self) -> int:
        return sum(request.method == "POST" for request in self.upstream.requests)


@pytest.fixture
async def queue(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(QueueCraft, "poll_s", 0.01)
    return Queue(upstream)


@pytest.fixture
async def queueing(calling: RunningGateway) -> RunningGateway:
    """FAL's prices are the operator's."""
    units = [models_pb2.UnitPrice(unit="images", per_million=usage_pb2.Amount(unit="USD", nanos=FAL_NANOS * 10**6))]
    price = models_pb2.SetPriceRequest(provider="fal", model="fal-ai/flux/dev", units=units, source="a letter")
    await calling.models.SetPrice(price, metadata=calling.metadata())
    return calling


async def test_long_work_is_begun_once_and_asked_after(queueing: RunningGateway, queue: Queue, books: Books) -> None:
    queue.polls = ["IN_QUEUE", "IN_PROGRESS", 503, "IN_PROGRESS"]
    response = await made(queueing, wanted(FAL))
    assert response.images[0].blob.data == PNG
    assert (queue.submitted, queue.asked("/status"), queue.asked("/cancel")) == (1, 5, 0)
    assert response.receipt.charge.nanos == FAL_NANOS == (await books.charges())[0]


async def test_long_work_that_nobody_tells_of_is_given_up_but_not_begun_again(
    queueing: RunningGateway, queue: Queue, books: Books
) -> None:
    queue.polls = [503] * 100
    error = await failure(made(queueing, wanted(FAL)))
    assert refusal_of(error).reason == "PROVIDERS_EXHAUSTED"
    await until(lambda: queue.asked("/cancel") == 1)
    assert queue.submitted == 1
    assert await books.charges() == []


async def test_a_submission_without_an_answer_is_not_repeated(
    queueing: RunningGateway, upstream: Upstream, books: Books
) -> None:
    upstream.raw(RESET)
    assert (await refusal(made(queueing, wanted(FAL)))).reason == "PROVIDERS_EXHAUSTED"
    assert len(upstream.requests) == 1


async def test_who_leaves_stops_long_work(queueing: RunningGateway, queue: Queue, books: Books) -> None:
    queue.polls = ["IN_PROGRESS"] * 100_000
    call = queueing.images.GenerateImages(wanted(FAL), metadata=queueing.metadata(USER))
    await asyncio.wait_for(queue.polled.wait(), 10)
    call.cancel()
    await until(lambda: queue.asked("/cancel") == 1)

    async def settled() -> bool:
        return len(await books.usage()) == 1

    await until(settled)
    [row] = await books.usage()
    assert (row["outcome"], row["basis"]) == ("OUTCOME_CANCELLED", "counted_partial")
    assert queue.submitted == 1
    assert await books.charges() == [FAL_NANOS]


# What is refused.


async def test_a_provider_that_makes_none_names_those_that_do(calling: RunningGateway) -> None:
    error = await failure(edited(calling, changed("sandbox/picture", edit=images_pb2.IMAGE_EDIT_UPSCALE)))
    assert refusal_of(error).reason == "CAPABILITY_UNSUPPORTED"
    named = detail_of(error, error_details_pb2.ErrorInfo).metadata["providers"]
    assert {"openai", "stability", "fal"} <= set(named.split(","))


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (wanted(images=[content_pb2.Blob(data=PNG)]), invalid("input.images")),
        (wanted(mask=content_pb2.Blob(data=PNG)), invalid("input.mask")),
        (wanted(strength=0.5), invalid("input.strength")),
        (wanted(edit=images_pb2.IMAGE_EDIT_VARIATION), invalid("input.edit")),
        (wanted(size="16x16", aspect_ratio="1:1"), invalid("input.aspect_ratio")),
        (wanted(size="wide"), invalid("input.size")),
        (wanted(image_count=17), invalid("input.image_count")),
        (wanted(quality="a\0b"), invalid("input.quality")),
        (
            images_pb2.GenerateImagesRequest(input=images_pb2.ImageInput(model="sandbox/picture")),
            invalid("input.prompt"),
        ),
    ],
)
async def test_bad_wishes_are_told_by_their_field(
    gateway: RunningGateway, request_: images_pb2.GenerateImagesRequest, refused: Refusal
) -> None:
    assert await refusal(made(gateway, request_)) == refused


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (changed(images=[]), invalid("input.images")),
        (changed(images=[content_pb2.Blob()]), invalid("input.images[0].source")),
        (changed(images=[content_pb2.Blob(data=b"text")]), invalid("input.images[0].data", "MEDIA_INVALID")),
        (changed(mask=content_pb2.Blob(data=PNG[:20])), invalid("input.mask.data", "MEDIA_INVALID")),
        (
            changed(images=[content_pb2.Blob(uri="http://127.0.0.1/x.png")]),
            invalid("input.images[0].uri", "URL_NOT_ALLOWED"),
        ),
    ],
)
async def test_bad_pictures_are_told_by_their_place(
    gateway: RunningGateway, request_: images_pb2.EditImagesRequest, refused: Refusal
) -> None:
    assert await refusal(edited(gateway, request_)) == refused
