"""How the Python client reaches a gateway, and what it is made from."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from typing import get_args

import grpc
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

import trunkline
from tools.sync_client import synchronous
from trunkline.amounts import of_credits, to_decimal
from trunkline.channels import Access, is_local, service_config
from trunkline.content import audio, blob, document, image
from trunkline.progress import Bar
from trunkline.v1 import chat_pb2, files_pb2, jobs_pb2
from trunkline.waiting import Patience
from trunkline.work import _Input


def access(address: str | None = None, **given: object) -> Access:
    sent = {"key": None, "user": "", "model": None, "tls": None, "timeout_s": None} | given
    return Access.find(address, **sent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("localhost:50051", True),
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("unix:/run/trunkline", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", False),
        ("dns:///gateway.example:443", False),
        ("dns:///localhost:443", True),
        ("gateway:50051", False),
        ("10.0.0.1:50051", False),
    ],
)
def test_a_key_leaves_the_machine_encrypted(address: str, local: bool) -> None:
    assert is_local(address) is local
    assert (access(address).credentials is None) is local
    assert access(address, tls=False).credentials is None
    assert access(address, tls=True).credentials is not None


def test_credentials_of_your_own() -> None:
    own = grpc.ssl_channel_credentials()

    assert access("gateway:1", tls=own).credentials is own


def test_what_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ADDRESS": "gateway:1", "API_KEY": "tk", "MODEL": "gpt-4o"}.items():
        monkeypatch.setenv(f"TRUNKLINE_{name}", value)

    found, given = access(), access("other:2", key="", model="echo")

    assert (found.address, found.key, found.model) == ("gateway:1", "tk", "gpt-4o")
    assert (given.address, given.key, given.model) == ("other:2", "", "echo")
    assert given.metadata("u1") == (("x-trunkline-user", "u1"),)
    assert found.metadata() == (("authorization", "Bearer tk"),)


def test_only_what_may_be_sent_twice_is_tried_again() -> None:
    config = json.loads(service_config())
    retried = [each for entry in config["methodConfig"] if "retryPolicy" in entry for each in entry["name"]]
    named = {(each["service"].rpartition(".")[2], each["method"]) for each in retried}

    for file in (chat_pb2, jobs_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                level = method.GetOptions().idempotency_level
                assert ((service.name, method.name) in named) is (level != MethodOptions.IDEMPOTENCY_UNKNOWN)
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]


def test_every_input_of_a_job_is_known_to_the_client() -> None:
    fields = jobs_pb2.JobSpec.DESCRIPTOR.fields

    assert {field.message_type.full_name for field in fields if field.message_type} == {
        kind.DESCRIPTOR.full_name for kind in get_args(_Input)
    }


def test_what_events_tell_has_a_place_in_a_completion() -> None:
    told = (chat_pb2.GenerationStarted, chat_pb2.GenerationCompleted)
    known = {field.name: field.type for field in chat_pb2.Completion.DESCRIPTOR.fields}

    for event in told:
        assert {field.name: field.type for field in event.DESCRIPTOR.fields}.items() <= known.items()


def test_the_messages_alone_load_no_client() -> None:
    script = "import sys, trunkline.v1.chat_pb2; sys.exit('grpc' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=50).returncode == 0


def test_every_name_leads_somewhere() -> None:
    assert all(getattr(trunkline, name).__name__ == name for name in trunkline.__all__)
    assert set(trunkline.__all__) == set(trunkline._HOME)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = trunkline.Nothing


def test_words_that_wait_are_exchanged_and_nothing_else() -> None:
    source = (
        "import grpc.aio\n"
        "from trunkline.aio.chat import AsyncChat  # AsyncChat awaits\n"
        "async def say(call: grpc.aio.Channel) -> 'AsyncChat':\n"
        '    """Say it with AsyncChat, await it."""\n'
        "    async with call:\n"
        "        return [await each.__anext__() async for each in call]\n"
    )

    assert synchronous(source) == (
        "import grpc\n"
        "from trunkline.sync.chat import Chat  # AsyncChat awaits\n"
        "def say(call: grpc.Channel) -> 'Chat':\n"
        '    """Say it with AsyncChat, await it."""\n'
        "    with call:\n"
        "        return [each.__next__() for each in call]\n"
    )


def test_amounts_are_exact() -> None:
    assert to_decimal(of_credits("0.000000001")) == Decimal("0.000000001")
    assert of_credits(3).nanos == 3_000_000_000
    with pytest.raises(TypeError, match="not a float"):
        of_credits(0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than 9 places"):
        of_credits("0.0000000001")


def test_files_addresses_and_bytes(tmp_path: object) -> None:
    path = f"{tmp_path}/cat.png"
    with open(path, "wb") as file:  # noqa: PTH123 - a path as text is what is tried
        file.write(b"png")

    assert blob(path) == blob(b"png", "image/png").__class__(data=b"png", media_type="image/png", filename="cat.png")
    assert image("https://example.com/cat.png").image.blob.uri == "https://example.com/cat.png"
    assert audio(b"wav", media_type="audio/wav").audio.blob.media_type == "audio/wav"
    assert document(b"pdf", title="Rules").document.title == "Rules"


def test_the_options_say_what_the_contract_says() -> None:
    question = (
        trunkline.Trunkline("localhost:1", key="")
        .top_p(0.5).top_k(4).seed(7).frequency_penalty(0.1).presence_penalty(0.2).think("high", tokens_max=9)
        .tool_choice("required").json().fallback("b", "c").route("least_cost").only("x").never("y").hedge()
        .cache("refresh", ttl=timedelta(hours=1)).max_cost("0.5").strict().assistant("tutor")
        .attach(image(b"png")).search_in(files_pb2.File(file_id="file_1"), "file_2")
        .with_input(chat_pb2.ChatInput(parallel_tool_calls=True))
    )  # fmt: skip
    input = question.input("look")

    assert input.model == ""
    assert input.reasoning.effort == chat_pb2.REASONING_EFFORT_HIGH
    assert list(input.routing.fallback_models) == ["b", "c"]
    assert input.routing.strategy == chat_pb2.ROUTING_STRATEGY_LEAST_COST
    assert input.cache.ttl.seconds == 3600
    assert input.max_cost.nanos == 500_000_000
    assert input.output_format.HasField("json_object")
    assert [part.WhichOneof("kind") for part in input.messages[0].parts] == ["image", "text"]
    assert (list(input.file_ids), input.file_search) == (["file_1", "file_2"], True)
    assert question.must_call("find").input("x").tool_choice.tool_name == "find"


def test_a_bar_draws_each_change_once() -> None:
    terminal = io.StringIO()
    bar = Bar(terminal)

    for fraction in (0.0, 0.5, 0.5, 1.0):
        bar(fraction, "working")
    bar.close()

    assert terminal.getvalue().count("\r") == 3
    assert terminal.getvalue().endswith("100% working\n")


def test_patience_without_an_end_never_ends() -> None:
    error = trunkline.Unavailable("gone")

    assert Patience(None).left_s is None
    assert Patience(None).pause_s(error, 0.5) == 0.5
    with pytest.raises(trunkline.TimedOut):
        Patience(0).pause_s(error, 0.5)
