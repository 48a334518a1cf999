"""What is read of the provider's bodies. Unknown fields are skipped; null stands wherever the provider may send it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from trunkline_server.core.offered import Offered, tokens

Index = Annotated[int, Meta(ge=0, le=1023)]

NOTHING: Final = Raw(b"null")
METHODS: Final = frozenset({"generateContent", "embedContent"})


def is_told(block: Raw) -> bool:
    """Whether a field that is kept as its text is there at all."""
    return block is not NOTHING and bytes(block) != b"null"


class FunctionCall(Struct, gc=False):
    """A call of one of the caller's functions; the arguments stay the text they came as."""

    name: str = ""
    id: str | None = None
    args: Raw = NOTHING


class InlineData(Struct, rename="camel", gc=False):
    """Bytes, in base64 of either alphabet."""

    data: str = ""
    mime_type: str | None = None


class FileData(Struct, rename="camel", gc=False):
    """Bytes that lie elsewhere."""

    file_uri: str = ""
    mime_type: str | None = None


class Part(Struct, rename="camel", gc=False):
    """One piece of an answer; exactly one of its kinds is there, or one that is not known here."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: InlineData | None = None
    file_data: FileData | None = None
    executable_code: Raw = NOTHING
    tool_call: Raw = NOTHING


class Run(Struct, rename="camel"):
    """A tool that the provider runs itself: `toolCall` has a type and arguments, `executableCode` is them."""

    id: str | None = None
    tool_type: str | None = None
    args: Raw = NOTHING


class Content(Struct, gc=False):
    """What a candidate says; empty where a filter took it away."""

    parts: list[Part] | None = None


class TokenProbability(Struct, rename="camel", gc=False):
    """A token and the logarithm of its probability."""

    token: str | None = None
    log_probability: float | None = None


class Alternatives(Struct, gc=False):
    """The likeliest tokens of one step."""

    candidates: list[TokenProbability] | None = None


class Logprobs(Struct, rename="camel", gc=False):
    """The tokens that were chosen, and step by step what else was likely."""

    chosen_candidates: list[TokenProbability] | None = None
    top_candidates: list[Alternatives] | None = None


class Candidate(Struct, rename="camel", gc=False):
    """One answer, or the next piece of it. The first one often has no index."""

    content: Content | None = None
    index: Index | None = None
    finish_reason: str | None = None
    logprobs_result: Logprobs | None = None
    grounding_metadata: Raw = NOTHING
    url_context_metadata: Raw = NOTHING
    citation_metadata: Raw = NOTHING

    @property
    def is_plain(self) -> bool:
        """Whether the words are all there is: true of most chunks."""
        return (
            self.finish_reason is None
            and self.grounding_metadata is NOTHING
            and self.url_context_metadata is NOTHING
            and self.citation_metadata is NOTHING
            and self.logprobs_result is None
        )


class ModalityCount(Struct, rename="camel", gc=False):
    """Tokens of one kind."""

    modality: str | None = None
    token_count: float | None = None


class UsageMetadata(Struct, rename="camel", gc=False):
    """What was used so far; a count of zero is left out."""

    prompt_token_count: float | None = None
    cached_content_token_count: float | None = None
    candidates_token_count: float | None = None
    thoughts_token_count: float | None = None
    tool_use_prompt_token_count: float | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None


class PromptFeedback(Struct, rename="camel", gc=False):
    """Why the question itself was refused."""

    block_reason: str | None = None


class Chunk(Struct, rename="camel", gc=False):
    """A whole answer, or one event of a stream: they have the same shape."""

    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None
    response_id: str | None = None
    model_version: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: Raw = NOTHING


class RawContent(Struct):
    """The parts as their own texts."""

    parts: list[Raw] | None = None


class RawCandidate(Struct):
    """A candidate whose parts are kept as texts."""

    content: RawContent | None = None


class RawChunk(Struct):
    """A chunk whose parts are kept as texts."""

    candidates: list[RawCandidate] | None = None


class Web(Struct):
    """A source's name and address."""

    uri: str | None = None
    title: str | None = None


class Source(Struct, rename="camel"):
    """A source: found on the web, in a store of documents, or on a map."""

    web: Web | None = None
    retrieved_context: Web | None = None
    maps: Web | None = None


class Segment(Struct, rename="camel"):
    """A stretch of the answer, counted in bytes of UTF-8."""

    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class Support(Struct, rename="camel"):
    """Which sources a stretch of the answer leans on."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(Struct, rename="camel"):
    """What the answer leans on, and what was searched for."""

    grounding_chunks: list[Raw] | None = None
    grounding_supports: list[Support] | None = None
    web_search_queries: list[str] | None = None


class RecitedSource(Struct, rename="camel"):
    """A work that the answer repeats, counted in bytes of UTF-8."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class Recited(Struct, rename="camel"):
    """The works that the answer repeats."""

    citation_sources: list[Raw] | None = None


class QuotaViolation(Struct, rename="camel"):
    """A limit that was run into; its name tells the window."""

    quota_id: str | None = None
    quota_value: str | None = None


class ErrorDetail(Struct, rename="camel"):
    """One of google.rpc's details: ErrorInfo has a reason, RetryInfo a delay, QuotaFailure violations."""

    reason: str | None = None
    retry_delay: str | None = None
    violations: list[QuotaViolation] | None = None


class Error(Struct):
    """What went wrong."""

    code: int | None = None
    status: str | None = None
    message: str | None = None
    details: list[Raw] | None = None


class ErrorBody(Struct):
    """The body of a failure."""

    error: Error | None = None


class TokenCount(Struct, rename="camel"):
    """How many tokens a question has."""

    total_tokens: float | None = None


class Model(Struct, rename="camel"):
    """A model, named `models/...`, and what it can be asked to do."""

    name: str
    display_name: str | None = None
    input_token_limit: float | None = None
    output_token_limit: float | None = None
    supported_generation_methods: list[str] | None = None

    @property
    def offered(self) -> Offered:
        name = self.name.removeprefix("models/")
        return Offered(name, self.display_name or "", tokens(self.input_token_limit), tokens(self.output_token_limit))

    @property
    def is_usable(self) -> bool:
        """Some have only methods that we do not call; where none are told, the model is given the benefit."""
        return self.supported_generation_methods is None or not METHODS.isdisjoint(self.supported_generation_methods)


class Models(Struct):
    """The list of models."""

    models: list[Model] | None = None


COUNT: Final = msgspec.json.Decoder(TokenCount)
MODELS: Final = msgspec.json.Decoder(Models)
