"""What stands beside an answer: the sources that it leans on, the works that it repeats, the tokens' probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.wire.dialect import parse, verbatim
from trunkline_server.wire.gemini import shapes
from trunkline_server.wire.gemini.shapes import is_told

GROUNDING: Final = "groundingMetadata"
URL_CONTEXT: Final = "urlContextMetadata"
CITATION: Final = "citationMetadata"
ANSWER_ONLY: Final = frozenset({GROUNDING, URL_CONTEXT, CITATION})

_GROUNDING = msgspec.json.Decoder(shapes.Grounding)
_SOURCE = msgspec.json.Decoder(shapes.Source)
_RECITED = msgspec.json.Decoder(shapes.Recited)
_RECITED_SOURCE = msgspec.json.Decoder(shapes.RecitedSource)


class Notes:
    """Keeps what chunks note beside the words, last one first, and tells it when the candidate is done.

    Positions are counted in bytes of the whole text, so nothing can be told before the text is whole.
    """

    __slots__ = ("_answer", "_kept", "_provider", "search_count")

    def __init__(self, provider: str, answer: Answer) -> None:
        self._provider = provider
        self._answer = answer
        self._kept: dict[int, dict[str, msgspec.Raw]] = {}
        self.search_count = 0

    def keep(self, candidate: shapes.Candidate, index: int) -> None:
        """What this chunk notes."""
        self._keep(index, GROUNDING, candidate.grounding_metadata)
        self._keep(index, URL_CONTEXT, candidate.url_context_metadata)
        self._keep(index, CITATION, candidate.citation_metadata)
        if candidate.logprobs_result is not None:
            self._answer.logprobs(read_logprobs(candidate.logprobs_result), index)

    def tell(self, index: int) -> None:
        """The candidate is done."""
        kept = self._kept.pop(index, None)
        if kept is None:
            return
        text = self._answer.growing_text(index)
        for citation in self._citations(kept, text):
            self._answer.citation(citation, index)
        for kind, block in kept.items():
            opaque = content_pb2.OpaquePart(provider=self._provider, type=kind, json=verbatim(block))
            self._answer.part(content_pb2.Part(opaque=opaque), index)

    def _keep(self, index: int, kind: str, block: msgspec.Raw) -> None:
        if is_told(block) and bytes(block) != b"{}":
            self._kept.setdefault(index, {})[kind] = block

    def _citations(self, kept: dict[str, msgspec.Raw], text: str) -> Iterator[content_pb2.Citation]:
        if GROUNDING in kept:
            grounding = parse(_GROUNDING, bytes(kept[GROUNDING]))
            self.search_count += len(grounding.web_search_queries or ())
            yield from read_grounding(grounding, text)
        if CITATION in kept:
            yield from read_recited(parse(_RECITED, bytes(kept[CITATION])), text)


def read_grounding(grounding: shapes.Grounding, text: str) -> Iterator[content_pb2.Citation]:
    """One citation for each stretch of the text and each source that it leans on; none without text."""
    sources = grounding.grounding_chunks or []
    for support in grounding.grounding_supports or () if text else ():
        segment = support.segment or shapes.Segment()
        start, end = span(text, segment.start_index or 0, segment.end_index or 0, segment.text or "")
        for number in support.grounding_chunk_indices or ():
            if 0 <= number < len(sources):
                yield _citation(sources[number], start, end)


def read_recited(recited: shapes.Recited, text: str) -> Iterator[content_pb2.Citation]:
    """One citation for each work that the text repeats; none without text."""
    for block in recited.citation_sources or () if text else ():
        source = parse(_RECITED_SOURCE, bytes(block))
        start, end = span(text, source.start_index or 0, source.end_index or 0)
        yield content_pb2.Citation(
            title=source.title or "",
            uri=source.uri or "",
            start_index=start,
            end_index=end,
            provider_json=verbatim(block),
        )


def span(text: str, start_byte: int, end_byte: int, words: str = "") -> tuple[int, int]:
    """Where a stretch begins and ends, in characters. `words` is what should stand there; (0, 0) where it does not."""
    data = text.encode()
    if not 0 <= start_byte < end_byte <= len(data):
        return 0, 0
    start = len(data[:start_byte].decode(errors="ignore"))
    end = len(data[:end_byte].decode(errors="ignore"))
    if words and text[start:end] != words:
        start = text.find(words)
        return (start, start + len(words)) if start >= 0 else (0, 0)
    return start, end


def read_logprobs(logprobs: shapes.Logprobs) -> Iterator[chat_pb2.TokenLogprob]:
    """The tokens that were chosen, each with what else was likely."""
    steps = logprobs.top_candidates or []
    for number, chosen in enumerate(logprobs.chosen_candidates or ()):
        others: Iterable[shapes.TokenProbability] = (steps[number].candidates if number < len(steps) else None) or ()
        yield chat_pb2.TokenLogprob(
            token=chosen.token or "",
            logprob=chosen.log_probability or 0.0,
            alternatives=[
                chat_pb2.TokenLogprob(token=each.token or "", logprob=each.log_probability or 0.0) for each in others
            ],
        )


def _citation(block: msgspec.Raw, start: int, end: int) -> content_pb2.Citation:
    source = parse(_SOURCE, bytes(block))
    found = source.web or source.retrieved_context or source.maps or shapes.Web()
    return content_pb2.Citation(
        title=found.title or "",
        uri=found.uri or "",
        start_index=start,
        end_index=end,
        provider_json=verbatim(block),
    )
