"""Spells a question as the body of generateContent."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.dialect import merge
from trunkline_server.wire.gemini.generation import encode_generation
from trunkline_server.wire.gemini.parts import Block, PartEncoder
from trunkline_server.wire.gemini.tools import encode_choice, encode_tools

INSTRUCTIONS = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)

# Stands in, by the provider's own rule, for the signature of a call that another model made.
NO_SIGNATURE = "skip_thought_signature_validator"


def encode_chat(ask: Ask, *, early: bool, files_url: str) -> dict[str, object]:
    """The whole body. `early` is a model before the third generation."""
    body: dict[str, object] = {"contents": encode_messages(ask, early=early, files_url=files_url)}
    sections = {
        "systemInstruction": encode_instructions(ask),
        "tools": encode_tools(ask),
        "toolConfig": encode_choice(ask),
        "generationConfig": encode_generation(ask, early=early),
    }
    body.update({name: section for name, section in sections.items() if section})
    return merge(body, ask.options)


def encode_instructions(ask: Ask) -> dict[str, object]:
    """Instructions stand apart from the conversation, and are text."""
    blocks: list[Block] = []
    for number, message in enumerate(ask.input.messages):
        if message.role in INSTRUCTIONS:
            blocks += _instruction_texts(ask, message, f"messages[{number}]")
    return {"parts": blocks} if blocks else {}


def encode_messages(ask: Ask, *, early: bool, files_url: str) -> list[dict[str, object]]:
    """The conversation. The results of calls made side by side must stand in one turn."""
    encoder = PartEncoder(ask, early=early, files_url=files_url)
    turns: list[tuple[content_pb2.Role.ValueType, list[Block]]] = []
    for number, message in enumerate(ask.input.messages):
        path = f"messages[{number}]"
        if message.name:
            ask.drop(f"{path}.name", "this provider knows no names of speakers")
        if message.role in INSTRUCTIONS:
            if turns:
                ask.adjust(f"{path}.role", "this provider takes instructions only before the conversation; moved there")
            continue
        blocks = encoder.encode(message.parts, path)
        if turns and message.role == turns[-1][0] == content_pb2.ROLE_TOOL:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((message.role, blocks))
    return [_content(role, blocks, early=early) for role, blocks in turns]


def _content(role: content_pb2.Role.ValueType, blocks: list[Block], *, early: bool) -> dict[str, object]:
    if role != content_pb2.ROLE_ASSISTANT:
        return {"role": "user", "parts": sorted(blocks, key=lambda block: not _has(block, "functionResponse"))}
    if not early:
        _excuse_signature(blocks)
    return {"role": "model", "parts": blocks}


def _excuse_signature(blocks: list[Block]) -> None:
    """The first call of a turn must be signed; the call of another provider cannot be."""
    calls = [block for block in blocks if isinstance(block, dict) and "functionCall" in block]
    if calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = NO_SIGNATURE


def _has(block: Block, field: str) -> bool:
    return isinstance(block, dict) and field in block


def _instruction_texts(ask: Ask, message: content_pb2.Message, path: str) -> list[Block]:
    texts: list[Block] = []
    for number, part in enumerate(message.parts):
        if part.WhichOneof("kind") == "text":
            texts.append({"text": part.text.text})
        else:
            ask.drop(f"{path}.parts[{number}]", "this provider takes only text as instructions")
    return texts
