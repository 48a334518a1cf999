"""How providers spell vectors, ranks and judgements: the same facts for all of them, in each dialect's own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trunkline.v1 import embeddings_pb2, moderation_pb2, usage_pb2
from trunkline_server.core.operation import Operation

Json = dict[str, Any]

VECTORS: Final = [[0.5, -1.0], [2.0, 0.25]]
RANKS: Final = [(1, 0.75), (0, 0.25)]
HARM: Final = {"hate": 0.25, "violence": 0.75}
TOKENS: Final = 12
TEXTS: Final = ["one text", "another"]
INPUTS: Final[Mapping[Operation, Any]] = {
    Operation.EMBED: embeddings_pb2.EmbedInput(texts=TEXTS),
    Operation.RERANK: embeddings_pb2.RerankInput(query="what", documents=TEXTS),
    Operation.MODERATION: moderation_pb2.ModerationInput(texts=TEXTS),
}


class OpenAI:
    """The dialect that most speak."""

    model = "maker/model-1"
    model_told = "model-1"
    tells: Mapping[Operation, Json] = {Operation.EMBED: {"input_tokens": TOKENS}, Operation.RERANK: {"input_tokens": 9}}
    paths: Mapping[Operation, str] = {
        Operation.EMBED: "/embeddings",
        Operation.RERANK: "/rerank",
        Operation.MODERATION: "/moderations",
    }

    def answer(self, operation: Operation) -> object:
        answers = {Operation.EMBED: self.vectors, Operation.RERANK: self.ranks, Operation.MODERATION: self.judgements}
        return answers[operation]()

    def usage(self, operation: Operation) -> usage_pb2.Usage | None:
        told = self.tells.get(operation)
        return usage_pb2.Usage(**told, source=usage_pb2.USAGE_SOURCE_PROVIDER) if told else None

    def texts_of(self, body: Json) -> list[str]:
        return body["input"] if "input" in body else body["documents"]  # type: ignore[no-any-return]

    def vectors(self) -> object:
        data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(VECTORS)]
        usage = {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
        return {"object": "list", "data": data[::-1], "model": self.model_told, "usage": usage}

    def ranks(self) -> object:
        results = [{"index": at, "relevance_score": score, "document": {"text": TEXTS[at]}} for at, score in RANKS]
        return {"id": "r-1", "model": self.model_told, "results": results[::-1], "usage": {"total_tokens": 9}}

    def judgements(self) -> object:
        found = {name: score > 0.5 for name, score in HARM.items()}
        result = {"flagged": True, "categories": found, "category_scores": HARM}
        return {"id": "modr-1", "model": self.model_told, "results": [result] * len(TEXTS)}


class Mistral(OpenAI):
    """Draws no sum of its judgements."""

    def judgements(self) -> object:
        found = {name: score > 0.5 for name, score in HARM.items()}
        return {"id": "1", "model": "model-1", "results": [{"categories": found, "category_scores": HARM}] * len(TEXTS)}


class Cohere(OpenAI):
    """Vectors by type, and what is billed in a corner."""

    model_told = ""
    tells: Mapping[Operation, Json] = {
        Operation.EMBED: {"input_tokens": TOKENS},
        Operation.RERANK: {"unit_counts": {"searches": 1}},
    }
    paths: Mapping[Operation, str] = {Operation.EMBED: "/v2/embed", Operation.RERANK: "/v2/rerank"}

    def texts_of(self, body: Json) -> list[str]:
        return body["texts"] if "texts" in body else body["documents"]  # type: ignore[no-any-return]

    def vectors(self) -> object:
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": TOKENS}}
        return {"id": "e-1", "embeddings": {"float": VECTORS}, "texts": TEXTS, "meta": meta}

    def ranks(self) -> object:
        results = [{"index": at, "relevance_score": score} for at, score in RANKS]
        return {"id": "r-1", "results": results, "meta": {"billed_units": {"search_units": 1}}}


class Gemini(OpenAI):
    """A question for each text."""

    model, model_told = "model-1", ""
    paths: Mapping[Operation, str] = {Operation.EMBED: "/v1beta/models/model-1:batchEmbedContents"}

    def texts_of(self, body: Json) -> list[str]:
        return [each["content"]["parts"][0]["text"] for each in body["requests"]]

    def vectors(self) -> object:
        told = {"promptTokenCount": TOKENS}
        return {"embeddings": [{"values": each} for each in VECTORS], "usageMetadata": told}


class Ollama(OpenAI):
    """Vectors in a row."""

    paths: Mapping[Operation, str] = {Operation.EMBED: "/api/embed"}

    def vectors(self) -> object:
        return {"model": self.model_told, "embeddings": VECTORS, "total_duration": 7, "prompt_eval_count": TOKENS}


class HuggingFace(OpenAI):
    """Vectors and nothing else."""

    model_told = "maker/model-1"
    tells: Mapping[Operation, Json] = {}
    paths: Mapping[Operation, str] = {Operation.EMBED: "/hf-inference/models/maker/model-1/pipeline/feature-extraction"}

    def texts_of(self, body: Json) -> list[str]:
        return body["inputs"]  # type: ignore[no-any-return]

    def vectors(self) -> object:
        return VECTORS


SPELLINGS: Final[Mapping[str, OpenAI]] = {
    "cohere": Cohere(),
    "gemini": Gemini(),
    "huggingface": HuggingFace(),
    "mistral": Mistral(),
    "ollama": Ollama(),
}


def spelling_of(name: str, dialect: str) -> OpenAI:
    """By what it is told to speak, else by what it is."""
    return SPELLINGS.get(dialect or name, OpenAI())
