from __future__ import annotations

import json

from tests.cli.conftest import Called


async def test_a_conversation_goes_on(called: Called) -> None:
    result = await called("chat", "--conversation", "new", "--user", "ann", stdin="hello there\n\nand again\n")
    assert result.exit_code == 0
    assert result.stdout == "hello there\nand again\n"
    talk = result.stderr.split()[1]
    assert talk.startswith("conv_")
    assert result.stderr.count("sandbox/echo") == 2
    result = await called("chat", "--conversation", talk, "--user", "ann", "--no-stream", "one more")
    assert result.stdout == "one more\n"
    assert "10 input" in result.stderr
    result = await called("chat", "--conversation", talk, "-", stdin="two\nlines\n")
    assert result.stdout == "two\nlines\n"
    exported = [json.loads(line) for line in (await called("conversations", "export", talk)).stdout.splitlines()]
    assert (exported[0]["userId"], exported[0]["title"]) == ("ann", "hello there")
    assert [each["message"]["role"] for each in exported[1:]] == ["ROLE_USER", "ROLE_ASSISTANT"] * 4


async def test_a_model_of_ones_own(called: Called) -> None:
    result = await called("chat", "--conversation", "new", "--model", "sandbox/count", "3")
    assert result.stdout == "1 2 3\n"
    talk = result.stderr.split()[1]
    assert (await called("chat", "--conversation", talk, "2")).stdout == "1 2\n"


async def test_one_that_is_not_there(called: Called) -> None:
    result = await called("chat", "--conversation", "conv_x", "hi")
    assert result.exit_code == 1
    assert result.stderr == "trunkline: RESOURCE_NOT_FOUND: conversation 'conv_x' does not exist\n"


async def test_conversations_are_listed_deleted_and_erased(called: Called) -> None:
    talks = [
        (await called("chat", "--conversation", "new", "--user", user, "hi")).stderr.split()[1]
        for user in ("ann", "ann", "bob")
    ]
    listed = await called("conversations", "list", "--user", "ann", "--json")
    assert [json.loads(line)["conversationId"] for line in listed.stdout.splitlines()] == [talks[1], talks[0]]
    table = (await called("conversations", "list")).stdout
    assert [line.split()[0] for line in table.splitlines()] == ["CONVERSATION", *reversed(talks)]
    assert (await called("conversations", "delete", talks[2])).exit_code == 0
    assert (await called("conversations", "export", talks[2])).exit_code == 1
    erased = await called("conversations", "erase-user", "ann")
    assert erased.stdout == "2 conversations, 0 messages in those of others\n"
    assert (await called("conversations", "list", "--json")).stdout == ""
