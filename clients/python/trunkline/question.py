"""A question that is being put together, and the words it is put together with."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration

from trunkline import content
from trunkline.amounts import of_credits
from trunkline.passages import Mode, Where, options_of
from trunkline.shapes import schema_of
from trunkline.toolbox import Function, Toolbox, declaration
from trunkline.v1 import chat_pb2, content_pb2, files_pb2, retrieval_pb2

ChatT = TypeVar("ChatT")
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high"]
Strategy: TypeAlias = Literal["priority", "round_robin", "weighted", "least_cost", "least_latency"]
ToolUse: TypeAlias = Literal["auto", "none", "required"]
CacheUse: TypeAlias = Literal["use", "refresh", "only", "off"]

ROUNDS_MAX = 8


@dataclass(frozen=True)
class Question:
    """What is known of a call so far. Never changed: every word makes a new one."""

    input: chat_pb2.ChatInput = field(default_factory=chat_pb2.ChatInput)
    default_model: str = ""
    user: str = ""
    timeout_s: float | None = None
    request_id: str = ""
    toolbox: Toolbox = field(default_factory=lambda: Toolbox({}))
    rounds_max: int = ROUNDS_MAX
    resumable: bool = False
    attached: Sequence[content_pb2.Part] = ()
    """Go with the next words of the user."""

    def plus(self, addition: chat_pb2.ChatInput) -> Question:
        """Single values replace, lists grow."""
        merged = chat_pb2.ChatInput()
        merged.CopyFrom(self.input)
        merged.MergeFrom(addition)
        return replace(self, input=merged)

    def asked(self, words: content.Words | None) -> chat_pb2.ChatInput:
        """The whole question, once the user has spoken."""
        said = [*self.attached, *(content.parts(words) if words is not None else ())]
        whole = self.plus(chat_pb2.ChatInput(messages=[content.user(said)] if said else [])).input
        if not (whole.model or whole.conversation_id or whole.assistant_id):
            whole.model = self.default_model
        return whole


class Fluent(ABC, Generic[ChatT]):
    """The options of a call, one word each. None of them changes the object that it is called on."""

    @abstractmethod
    def _known(self) -> Question:
        """What is known so far."""

    @abstractmethod
    def _ask(self, question: Question) -> ChatT:
        """The same with more known."""

    def model(self, name: str) -> ChatT:
        """`provider/model`, a model's own name, or an alias."""
        return self._plus(chat_pb2.ChatInput(model=name))

    def user(self, name: str) -> ChatT:
        """Your end user, whose account is charged."""
        return self._ask(replace(self._known(), user=name))

    def system(self, words: str) -> ChatT:
        """Instructions to the model."""
        return self.messages(content.system(words))

    def messages(self, *messages: content_pb2.Message) -> ChatT:
        """What was said before: see `system`, `user` and `assistant` in `trunkline`, and `Answer.messages`."""
        return self._plus(chat_pb2.ChatInput(messages=messages))

    def attach(self, *parts: content_pb2.Part) -> ChatT:
        """Pictures, sounds, documents that go with the next words: see `image` and `document` in `trunkline`."""
        known = self._known()
        return self._ask(replace(known, attached=(*known.attached, *parts)))

    def search_in(self, *files: files_pb2.File | str) -> ChatT:
        """Uploaded documents that the provider searches in, in place of getting them whole."""
        names = [file if isinstance(file, str) else file.file_id for file in files]
        return self._plus(chat_pb2.ChatInput(file_ids=names, file_search=True))

    # How the model picks its words.

    def temperature(self, value: float) -> ChatT:
        return self._sampled(chat_pb2.Sampling(temperature=value))

    def top_p(self, value: float) -> ChatT:
        return self._sampled(chat_pb2.Sampling(top_p=value))

    def top_k(self, value: int) -> ChatT:
        return self._sampled(chat_pb2.Sampling(top_k=value))

    def max_tokens(self, count: int) -> ChatT:
        """Longest answer, thoughts included."""
        return self._sampled(chat_pb2.Sampling(max_output_tokens=count))

    def frequency_penalty(self, value: float) -> ChatT:
        return self._sampled(chat_pb2.Sampling(frequency_penalty=value))

    def presence_penalty(self, value: float) -> ChatT:
        return self._sampled(chat_pb2.Sampling(presence_penalty=value))

    def candidates(self, count: int) -> ChatT:
        """So many answers: `Answer.texts`."""
        return self._sampled(chat_pb2.Sampling(candidate_count=count))

    def seed(self, value: int) -> ChatT:
        return self._sampled(chat_pb2.Sampling(seed=value))

    def stop(self, *sequences: str) -> ChatT:
        """End the answer before any of these."""
        return self._sampled(chat_pb2.Sampling(stop_sequences=sequences))

    def think(self, effort: Effort = "medium", *, tokens_max: int | None = None, show: bool = True) -> ChatT:
        """How hard the model thinks."""
        level = chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort.upper()}")
        wanted = chat_pb2.Reasoning(effort=level, budget_tokens=tokens_max, include_text=show)
        return self._plus(chat_pb2.ChatInput(reasoning=wanted))

    # What it may call, and what shape its answer has.

    def tools(self, *tools: Function | content_pb2.Tool, rounds_max: int | None = None) -> ChatT:
        """Typed functions are run for the model until it has its answer; declarations are sent as they are."""
        functions = [tool for tool in tools if not isinstance(tool, content_pb2.Tool)]
        declared = [tool if isinstance(tool, content_pb2.Tool) else declaration(tool) for tool in tools]
        known = self._known().plus(chat_pb2.ChatInput(tools=declared))
        rounds = known.rounds_max if rounds_max is None else rounds_max
        return self._ask(replace(known, toolbox=known.toolbox.with_more(functions), rounds_max=rounds))

    def tool_choice(self, use: ToolUse) -> ChatT:
        """Whether it calls tools."""
        mode = content_pb2.ToolChoiceMode.Value(f"TOOL_CHOICE_MODE_{use.upper()}")
        return self._plus(chat_pb2.ChatInput(tool_choice=content_pb2.ToolChoice(mode=mode)))

    def must_call(self, tool_name: str) -> ChatT:
        """It calls this tool."""
        return self._plus(chat_pb2.ChatInput(tool_choice=content_pb2.ToolChoice(tool_name=tool_name)))

    def json(self) -> ChatT:
        """The answer is a JSON object; the gateway checks it."""
        wanted = content_pb2.OutputFormat(json_object=content_pb2.JsonObjectFormat())
        return self._plus(chat_pb2.ChatInput(output_format=wanted))

    def shaped(self, schema: Mapping[str, Any] | type, *, name: str = "", strict: bool | None = None) -> ChatT:
        """The answer is JSON of this schema, or of this type; the gateway checks it, and has it repaired once."""
        told = schema if isinstance(schema, Mapping) else schema_of(schema)
        wanted = content_pb2.JsonSchemaFormat(name=name, json_schema=json.dumps(told), strict=strict)
        return self._plus(chat_pb2.ChatInput(output_format=content_pb2.OutputFormat(json_schema=wanted)))

    # What it leans on.

    def prompt(
        self, name: str, variables: Mapping[str, object] | None = None, /, *, version: int = 0, **more: object
    ) -> ChatT:
        """A prompt that the gateway keeps, filled in; without `version` in its default one."""
        given = filled({**(variables or {}), **more})
        return self._plus(chat_pb2.ChatInput(prompt=chat_pb2.PromptRef(prompt=name, version=version, variables=given)))

    def assistant(self, name: str) -> ChatT:
        """An assistant that the gateway keeps: model, instructions, tools."""
        return self._plus(chat_pb2.ChatInput(assistant_id=name))

    def consult(
        self,
        collection: str,
        *,
        query: str = "",
        limit: int = 0,
        mode: Mode | None = None,
        min_similarity: float | None = None,
        where: Where | None = None,
        unless: Where | None = None,
        rerank: str = "",
    ) -> ChatT:
        """The model reads first what a collection has on the question (or on `query`), and names its sources."""
        options = options_of(
            limit=limit, mode=mode, min_similarity=min_similarity, where=where, unless=unless, rerank=rerank
        )
        wanted = retrieval_pb2.Retrieval(collection=collection, query=query, options=options)
        return self._plus(chat_pb2.ChatInput(retrieval=wanted))

    # How the gateway goes about it.

    def fallback(self, *models: str) -> ChatT:
        """Models to fall back on, in this order."""
        return self._routed(chat_pb2.Routing(fallback_models=models))

    def route(self, strategy: Strategy) -> ChatT:
        """In which order providers are asked."""
        return self._routed(
            chat_pb2.Routing(strategy=chat_pb2.RoutingStrategy.Value(f"ROUTING_STRATEGY_{strategy.upper()}"))
        )

    def only(self, *providers: str) -> ChatT:
        """Ask no others."""
        return self._routed(chat_pb2.Routing(allowed_providers=providers))

    def never(self, *providers: str) -> ChatT:
        return self._routed(chat_pb2.Routing(denied_providers=providers))

    def hedge(self) -> ChatT:
        """Ask a second provider when the first is unusually slow."""
        return self._routed(chat_pb2.Routing(hedge=True))

    def cache(self, use: CacheUse = "use", *, ttl: timedelta | None = None) -> ChatT:
        """Whether an answer that was kept may be the answer."""
        policy = chat_pb2.CachePolicy(mode=chat_pb2.CacheMode.Value(f"CACHE_MODE_{use.upper()}"))
        if ttl is not None:
            kept = Duration()
            kept.FromTimedelta(ttl)
            policy.ttl.CopyFrom(kept)
        return self._plus(chat_pb2.ChatInput(cache=policy))

    def max_cost(self, credits: Decimal | int | str) -> ChatT:
        """The most that it may cost; a longer answer is cut there."""
        return self._plus(chat_pb2.ChatInput(max_cost=of_credits(credits)))

    def labels(self, **labels: str) -> ChatT:
        """Your own words for the call; they stand on its usage row."""
        return self._plus(chat_pb2.ChatInput(labels=labels))

    def options(self, provider: str, **fields: Any) -> ChatT:
        """Further fields of one provider's own request."""
        return self._plus(chat_pb2.ChatInput(provider_options_json={provider: json.dumps(fields)}))

    def strict(self) -> ChatT:
        """Refuse what the provider cannot take, instead of leaving it out with a warning."""
        return self._plus(chat_pb2.ChatInput(strict_parameters=True))

    def timeout(self, seconds: float) -> ChatT:
        """How long it may take, everything together."""
        return self._ask(replace(self._known(), timeout_s=seconds))

    def request_id(self, name: str) -> ChatT:
        """The same name and question give the same answer for a day, charged once. Each call gets one unasked."""
        return self._ask(replace(self._known(), request_id=name))

    def resumable(self) -> ChatT:
        """A stream whose connection breaks goes on where it was. One that is left early is read on for a while, and
        charged for that."""
        return self._ask(replace(self._known(), resumable=True))

    def with_input(self, addition: chat_pb2.ChatInput) -> ChatT:
        """Anything else that the contract knows."""
        return self._plus(addition)

    def _plus(self, addition: chat_pb2.ChatInput) -> ChatT:
        return self._ask(self._known().plus(addition))

    def _sampled(self, sampling: chat_pb2.Sampling) -> ChatT:
        return self._plus(chat_pb2.ChatInput(sampling=sampling))

    def _routed(self, routing: chat_pb2.Routing) -> ChatT:
        return self._plus(chat_pb2.ChatInput(routing=routing))


def filled(variables: Mapping[str, object]) -> dict[str, str]:
    """Variables of a prompt, of every type as text."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}


def inputs(questions: Iterable[content.Words | chat_pb2.ChatInput], known: Question) -> list[chat_pb2.ChatInput]:
    """Many questions that share what is known."""
    return [each if isinstance(each, chat_pb2.ChatInput) else known.asked(each) for each in questions]
