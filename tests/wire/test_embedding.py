"""Vectors: any number of texts comes back in order, whatever the pieces; and no answer is taken for another."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import embeddings_pb2, usage_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.estimate import text_tokens
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire.cohere.embedding import CohereEmbed
from trunkline_server.wire.embedding import EmbedCraft
from trunkline_server.wire.gemini.embedding import GeminiEmbed
from trunkline_server.wire.huggingface.embedding import HuggingFaceEmbed
from trunkline_server.wire.ollama.embedding import OllamaEmbed
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.pieces import Limits

QUERY = embeddings_pb2.EMBED_PURPOSE_QUERY
CRAFTS: dict[str, EmbedCraft] = {
    "openai": OpenAIEmbed(),
    "cohere": CohereEmbed(),
    "gemini": GeminiEmbed(),
    "ollama": OllamaEmbed(),
    "huggingface": HuggingFaceEmbed(),
}
every = pytest.mark.parametrize("craft", CRAFTS.values(), ids=CRAFTS)


def errand(*texts: str, options: dict[str, object] | None = None, **fields: Any) -> Errand[embeddings_pb2.EmbedInput]:
    return Errand("acme", "m", embeddings_pb2.EmbedInput(texts=texts, **fields), options or {})


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def openai_answer(vectors: Sequence[object], tokens: int = 3) -> bytes:
    data = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return json.dumps({"data": data, "model": "m-1", "usage": {"prompt_tokens": tokens}}).encode()


def answer_of(name: str, vectors: list[list[float]]) -> bytes:
    """Synthetic: what each provider documents."""
    answers: dict[str, object] = {
        "cohere": {"id": "1", "embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": 3}}},
        "gemini": {"embeddings": [{"values": vector} for vector in vectors]},
        "ollama": {"model": "m", "embeddings": vectors, "prompt_eval_count": 3},
        "huggingface": vectors,
    }
    return openai_answer(vectors) if name == "openai" else json.dumps(answers[name]).encode()


def values(product: Product[embeddings_pb2.EmbedResponse]) -> list[list[float]]:
    return [list(each.values) for each in product.body.embeddings]


def broken(craft: EmbedCraft, asked: Errand[embeddings_pb2.EmbedInput], body: bytes) -> FailureKind:
    with pytest.raises(UpstreamFailure) as caught:
        craft.decode(asked, {}, body)
    return caught.value.kind


# Pieces.


@given(
    st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=60),
    st.builds(
        Limits,
        texts_max=st.integers(1, 12),
        tokens_max=st.none() | st.integers(1, 60),
        text_tokens_max=st.integers(1, 30),
    ),
    st.randoms(use_true_random=False),
)
def test_any_number_of_texts_comes_back_in_order(texts: list[str], limits: Limits, chance: random.Random) -> None:
    craft, asked = OpenAIEmbed(limits=limits), errand(*texts, dimensions=1)
    numbers = iter(range(len(texts)))
    products = []
    for piece in craft.split(asked):
        sent = json.loads(craft.encode(piece).body)
        assert len(sent["input"]) <= limits.texts_max
        assert len(sent["input"]) == 1 or tokens(sent["input"], limits) <= (limits.tokens_max or 10**9)
        data = [{"index": place, "embedding": [next(numbers)]} for place, _ in enumerate(sent["input"])]
        chance.shuffle(data)
        body = json.dumps({"data": data, "usage": {"prompt_tokens": len(data)}}).encode()
        products.append(craft.decode(piece, {}, body))

    whole = craft.join(asked, products)

    assert values(whole) == [[float(place)] for place in range(len(texts))]
    assert whole.usage is not None
    assert whole.usage.input_tokens == len(texts)


def tokens(texts: list[str], limits: Limits) -> int:
    return sum(min(text_tokens(text), limits.text_tokens_max) for text in texts)


@given(st.lists(st.text(min_size=1, max_size=9), max_size=40), st.integers(1, 9), st.none() | st.integers(1, 20))
def test_pieces_are_never_empty_and_hold_everything(texts: list[str], texts_max: int, tokens_max: int | None) -> None:
    pieces = list(Limits(texts_max, tokens_max).pieces(texts))
    assert [text for piece in pieces for text in piece] == texts
    assert all(pieces)


@pytest.mark.parametrize(
    ("craft", "count", "sizes"),
    [
        (OpenAIEmbed(), 5000, [2048, 2048, 904]),
        (GeminiEmbed(), 250, [100, 100, 50]),
        (CohereEmbed(), 96, [96]),
        (CohereEmbed(), 97, [96, 1]),
        (OllamaEmbed(), 513, [512, 1]),
        (HuggingFaceEmbed(), 33, [32, 1]),
    ],
)
def test_each_provider_has_its_limit(craft: EmbedCraft, count: int, sizes: list[int]) -> None:
    asked = errand(*(["word"] * count), purpose=QUERY, dimensions=8, strict_parameters=True)
    pieces = craft.split(asked)
    assert [len(piece.input.texts) for piece in pieces] == sizes
    wishes = {(piece.input.purpose, piece.input.dimensions, piece.input.strict_parameters) for piece in pieces}
    assert wishes == {(QUERY, 8, True)}


def test_a_request_holds_no_more_tokens_than_the_provider_takes() -> None:
    page = "word " * 5000  # counts 8192, for more is refused
    pieces = OpenAIEmbed().split(errand(*([page] * 100)))
    assert [len(piece.input.texts) for piece in pieces] == [36, 36, 28]


def test_what_is_dropped_is_said_once_for_all_pieces() -> None:
    craft, asked = OpenAIEmbed(limits=Limits(texts_max=1)), errand("a", "b", "c", purpose=QUERY)
    for piece in craft.split(asked):
        craft.encode(piece)
    assert [warning.field for warning in asked.warnings] == ["input.purpose"]


def test_a_missing_piece_is_noticed() -> None:
    craft, asked = OpenAIEmbed(limits=Limits(texts_max=1)), errand("a", "b")
    one, _ = craft.split(asked)
    with pytest.raises(UpstreamFailure):
        craft.join(asked, [craft.decode(one, {}, openai_answer([[1.0]]))])


def test_usage_that_one_piece_does_not_tell_is_not_told() -> None:
    craft, asked = OpenAIEmbed(limits=Limits(texts_max=1)), errand("a", "b")
    bodies = (openai_answer([[1.0]]), openai_answer([[2.0]], tokens=0))
    pieces = [craft.decode(piece, {}, body) for piece, body in zip(craft.split(asked), bodies, strict=True)]
    assert pieces[0].usage == usage_pb2.Usage(input_tokens=3, source=usage_pb2.USAGE_SOURCE_PROVIDER)
    assert craft.join(asked, pieces).usage is None


# What goes out.


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 8, "user": "u"}),
        (
            "cohere",
            {
                "model": "m",
                "texts": ["a", "b"],
                "embedding_types": ["float"],
                "output_dimension": 8,
                "input_type": "search_query",
                "user": "u",
            },
        ),
        ("ollama", {"model": "m", "input": ["a", "b"], "truncate": False, "dimensions": 8, "user": "u"}),
        ("huggingface", {"inputs": ["a", "b"], "user": "u"}),
    ],
)
def test_the_question(name: str, body: dict[str, object]) -> None:
    asked = errand("a", "b", dimensions=8, purpose=QUERY, options={"user": "u"})
    assert json.loads(CRAFTS[name].encode(asked).body) == body


def test_gemini_asks_for_each_text() -> None:
    asked = errand("a", "b", dimensions=8, purpose=QUERY, options={"title": "T"})
    request = GeminiEmbed().encode(asked)
    one = {"model": "models/m", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8, "title": "T"}
    assert request.path == "/v1beta/models/m:batchEmbedContents"
    assert json.loads(request.body) == {
        "requests": [{**one, "content": {"parts": [{"text": text}]}} for text in ("a", "b")]
    }


def test_newer_models_of_gemini_read_the_purpose_in_the_text() -> None:
    asked = errand("a", purpose=QUERY)
    asked.model = "gemini-embedding-2"
    (request,) = json.loads(GeminiEmbed().encode(asked).body)["requests"]
    assert request["content"] == {"parts": [{"text": "task: search result | query: a"}]}
    assert "taskType" not in request


def test_cohere_is_always_told_a_purpose() -> None:
    assert json.loads(CohereEmbed().encode(errand("a")).body)["input_type"] == "search_document"


def test_mistral_calls_the_length_something_else() -> None:
    craft = OpenAIEmbed(dimensions_field="output_dimension", encoding="float")
    body = json.loads(craft.encode(errand("a", dimensions=8)).body)
    assert body == {"model": "m", "input": ["a"], "encoding_format": "float", "output_dimension": 8}


@pytest.mark.parametrize("fields", [{"dimensions": 8}, {"purpose": QUERY}])
def test_what_a_strict_caller_wants_is_not_dropped(fields: dict[str, Any]) -> None:
    with pytest.raises(TrunklineError) as caught:
        HuggingFaceEmbed().encode(errand("a", strict_parameters=True, **fields))
    assert caught.value.reason is Reason.PARAMETER_UNSUPPORTED


@pytest.mark.parametrize("model", ["../v1/models", "a/../b", "a/b/c", "a?b", ".", "a/", "a:fastest"])
@pytest.mark.parametrize("craft", [GeminiEmbed(), HuggingFaceEmbed()], ids=["gemini", "huggingface"])
def test_a_name_that_leaves_the_path_is_no_model(craft: EmbedCraft, model: str) -> None:
    asked = errand("a")
    asked.model = model
    with pytest.raises(TrunklineError) as caught:
        craft.encode(asked)
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize("model", ["BAAI/bge-m3", "BAAI/bge-m3:hf-inference"])
def test_where_hugging_face_makes_vectors(model: str) -> None:
    asked = errand("a")
    asked.model = model
    assert HuggingFaceEmbed().encode(asked).path == "/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction"


# What comes back.


@pytest.mark.parametrize("name", CRAFTS)
def test_the_answer(name: str) -> None:
    product = CRAFTS[name].decode(errand("a", "b"), {}, answer_of(name, [[1.0, 2.0], [3.0, 4.0]]))
    assert values(product) == [[1.0, 2.0], [3.0, 4.0]]
    told = name not in ("gemini", "huggingface")
    assert product.usage == (usage_pb2.Usage(input_tokens=3, source=usage_pb2.USAGE_SOURCE_PROVIDER) if told else None)


@pytest.mark.parametrize("name", CRAFTS)
@pytest.mark.parametrize("vectors", [[], [[1.0]], [[1.0]] * 3, [[], [1.0]]], ids=["none", "few", "many", "empty"])
def test_another_number_of_vectors_is_no_answer(name: str, vectors: list[list[float]]) -> None:
    assert broken(CRAFTS[name], errand("a", "b"), answer_of(name, vectors)) is FailureKind.BROKEN


def test_numbers_come_plain_or_packed() -> None:
    body = openai_answer([[0.5, -2.0], packed(0.5, -2.0)])
    assert values(OpenAIEmbed().decode(errand("a", "b"), {}, body)) == [[0.5, -2.0]] * 2


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=300))
def test_packed_numbers_are_kept_to_the_bit(numbers: list[float]) -> None:
    product = OpenAIEmbed().decode(errand("a"), {}, openai_answer([packed(*numbers)]))
    assert values(product) == [numbers]


@pytest.mark.parametrize("vector", ["", "====", "AAA", "AAAAAAA=", "\u00e9", packed(1.0) + "!"])
def test_what_is_no_packed_vector(vector: str) -> None:
    assert broken(OpenAIEmbed(), errand("a"), openai_answer([vector])) is FailureKind.BROKEN


@pytest.mark.parametrize("places", [(0, 0), (0, 2), (1, 2), (-1, 0), (0, None)])
def test_places_that_do_not_fit_are_no_answer(places: tuple[int | None, ...]) -> None:
    data = [{"embedding": [1.0], **({} if place is None else {"index": place})} for place in places]
    assert broken(OpenAIEmbed(), errand("a", "b"), json.dumps({"data": data}).encode()) is FailureKind.BROKEN


def test_without_any_places_the_order_counts() -> None:
    body = json.dumps({"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}).encode()
    assert values(OpenAIEmbed().decode(errand("a", "b"), {}, body)) == [[1.0], [2.0]]


def test_an_error_inside_a_good_answer() -> None:
    body = b'\n\n  {"error": {"message": "Provider returned error", "code": 429}}'
    assert broken(OpenAIEmbed(), errand("a"), body) is FailureKind.THROTTLED
    assert broken(OllamaEmbed(), errand("a"), b'{"error": "model \'m\' not found"}') is FailureKind.MODEL_UNKNOWN
    assert broken(HuggingFaceEmbed(), errand("a"), b'{"error": "Model m is overloaded"}') is FailureKind.THROTTLED


@pytest.mark.parametrize(
    ("texts", "told", "vectors"),
    [
        (1, [1, 2], [[1.0, 2.0]]),
        (1, [[1, 2]], [[1.0, 2.0]]),
        (2, [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
        (2, [[[1, 2]], [[3, 4]]], [[1.0, 2.0], [3.0, 4.0]]),
        (1, [[[1, 2], [3, 4]]], [[2.0, 3.0]]),
        (2, [[[1, 2], [3, 4]], [[5, 6]]], [[2.0, 3.0], [5.0, 6.0]]),
        (2, [[[[1, 2], [3, 4]]], [[[5, 6]]]], [[2.0, 3.0], [5.0, 6.0]]),
    ],
)
def test_hugging_face_puts_vectors_into_many_brackets(texts: int, told: object, vectors: list[list[float]]) -> None:
    product = HuggingFaceEmbed().decode(errand(*(["a"] * texts)), {}, json.dumps(told).encode())
    assert values(product) == vectors


@pytest.mark.parametrize("told", [[[[1, 2], [3]]], [[[]]], [[[[1]], [[2]]]], [[]], "x", [["x"]], {}, [[[[[1]]]]]])
def test_brackets_without_vectors_are_no_answer(told: object) -> None:
    assert broken(HuggingFaceEmbed(), errand("a"), json.dumps(told).encode())


def test_smaller_numbers_of_cohere() -> None:
    body = json.dumps({"embeddings": {"int8": [[1, -2]]}}).encode()
    assert values(CohereEmbed().decode(errand("a"), {}, body)) == [[1.0, -2.0]]


@pytest.mark.parametrize("name", CRAFTS)
@given(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 8))
def test_no_bytes_do_more_harm_than_a_failure(name: str, at: int, junk: bytes, gone: int) -> None:
    whole = answer_of(name, [[1.0, 2.5e-3], [3.0, 4.0]])
    place = at % (len(whole) + 1)
    try:
        product = CRAFTS[name].decode(errand("a", "b"), {}, whole[:place] + junk + whole[place + gone :])
    except UpstreamFailure:
        return
    assert len(product.body.embeddings) == 2


@every
@pytest.mark.parametrize("body", [b"", b"null", b"[", b"\xff", b"[" * 100_000, b"{}", b"<html>", b"1e999"])
def test_what_is_no_answer(craft: EmbedCraft, body: bytes) -> None:
    broken(craft, errand("a"), body)
