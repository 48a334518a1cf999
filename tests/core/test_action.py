"""What each type of action takes, what is wrong with those that are not whole, and how long a confirmation is good."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from google.protobuf.json_format import ParseDict

from trunkline.v1 import actions_pb2
from trunkline_server.core.action import argument_faults, faults, needs_confirmation
from trunkline_server.core.confirmation import Confirmations, Subject

CHOICES = [{"value": "a"}, {"value": "b", "label": "B"}]


def action(**kind: Any) -> actions_pb2.Action:
    return ParseDict({"action_id": "a", "name": "n", "label": "L", **kind}, actions_pb2.Action())


def field(type_: str = "TEXT", **more: Any) -> actions_pb2.Action:
    """A form with one field."""
    one = {"name": "x", "label": "X", "type": f"FORM_FIELD_TYPE_{type_}", **more}
    return action(form={"fields": [one]})


CUSTOM = action(custom={"type": "map", "arguments_json_schema": '{"required": ["lat"]}'})


@pytest.mark.parametrize(
    ("made", "right", "wrong"),
    [
        (action(button={}), ["", "{}"], ['{"a": 1}', "[]", "{", '{"a": 1, "a": 2}']),
        (action(quick_reply={"text": "yes"}), ["{}"], ['{"text": "no"}']),
        (action(link={"uri": "mailto:ada@example.com"}), ["{}"], ['{"x": 1}']),
        (action(confirm={"question": "sure?"}), ["{}"], ['{"confirmed": true}']),
        (action(file_upload={"files_max": 2}), ['{"file_ids": ["f"]}'], ["{}", '{"file_ids": ["f", "g", "h"]}']),
        (action(card={"choices": CHOICES}), ['{"value": "b"}'], ["{}", '{"value": "B"}', '{"values": ["a"]}']),
        (action(card={"title": "T"}), ["{}"], ['{"value": "a"}']),
        (action(menu={"choices": CHOICES}), ['{"values": ["a"]}'], ['{"values": ["a", "b"]}', '{"values": []}']),
        (
            action(menu={"choices": CHOICES, "chosen_min": 2, "chosen_max": 2}),
            ['{"values": ["b", "a"]}'],
            ['{"values": ["a", "a"]}', '{"values": ["a"]}'],
        ),
        (CUSTOM, ['{"lat": 1}'], ["{}"]),
        (action(custom={"type": "map"}), ["{}"], ['{"lat": 1}']),
        (field(), ["{}", '{"x": ""}', '{"x": "a"}'], ['{"y": ""}', '{"x": 1}', '{"x": null}']),
        (field(required=True), ['{"x": "a"}'], ["{}", '{"x": ""}']),
        (field("MULTILINE", chars_max=2), ['{"x": "ab"}'], ['{"x": "abc"}']),
        (field(pattern="^[0-9]+$"), ['{"x": "12"}'], ['{"x": "a"}']),
        (field("NUMBER", minimum=1, maximum=2), ['{"x": 1.5}'], ['{"x": 0}', '{"x": 3}', '{"x": "1"}']),
        (field("INTEGER"), ['{"x": 3}'], ['{"x": 1.5}']),
        (field("BOOLEAN"), ['{"x": false}'], ['{"x": "false"}']),
        (field("DATE"), ['{"x": "2031-12-24"}'], ['{"x": "2031-13-24"}', '{"x": "24.12.2031"}']),
        (field("EMAIL"), ['{"x": "ada@example.com"}'], ['{"x": "ada"}']),
        (field("CHOICE", choices=CHOICES), ['{"x": "a"}'], ['{"x": "c"}']),
        (field("MULTI_CHOICE", choices=CHOICES), ['{"x": []}', '{"x": ["a", "b"]}'], ['{"x": "a"}', '{"x": ["c"]}']),
    ],
    ids=lambda value: value.WhichOneof("kind") if isinstance(value, actions_pb2.Action) else None,
)
def test_what_it_takes(made: actions_pb2.Action, right: list[str], wrong: list[str]) -> None:
    assert faults(made, "action") == []
    assert [text for text in right if argument_faults(made, text, "arguments_json")] == []
    assert [text for text in wrong if not argument_faults(made, text, "arguments_json")] == []


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (action(button={}, payload_json="[]"), "payload_json"),
        (action(link={"uri": "javascript:alert(1)"}), "link.uri"),
        (action(link={"uri": "https://a b"}), "link.uri"),
        (action(card={"image_uri": "http://a/b.png"}), "card.image_uri"),
        (action(card={"choices": [*CHOICES, {"value": "a"}]}), "card.choices[2].value"),
        (action(menu={"choices": CHOICES, "chosen_min": 2}), "menu.chosen_max"),
        (action(menu={"choices": CHOICES, "chosen_min": 3, "chosen_max": 3}), "menu.chosen_min"),
        (action(custom={"type": "map", "arguments_json_schema": "{"}), "custom.arguments_json_schema"),
        (field(choices=CHOICES), "form.fields[0].choices"),
        (field("CHOICE"), "form.fields[0].choices"),
        (field("NUMBER", minimum=2, maximum=1), "form.fields[0].maximum"),
        (field(minimum=2), "form.fields[0]"),
        (field(pattern="(?=a)"), "form.fields"),
    ],
)
def test_what_is_wrong(made: actions_pb2.Action, path: str) -> None:
    assert [fault.field for fault in faults(made, "action")] == [f"action.{path}"]


def test_what_has_to_be_confirmed() -> None:
    assert needs_confirmation(action(confirm={"question": "sure?"}))
    assert needs_confirmation(action(button={}, dangerous=True))
    assert not needs_confirmation(action(button={}))


def test_a_confirmation_is_good_for_its_time_and_its_installation() -> None:
    subject = Subject(UUID(int=1), "ada", action(button={}), "{}")
    ours, theirs = Confirmations.derive(b"one"), Confirmations.derive(b"two")
    token = ours.give(subject, 1000)
    confirmed = ours.read(subject, token, 999.9)
    assert confirmed is not None
    assert confirmed.expire_s == 1000
    assert ours.read(subject, token, 1000) is None
    assert theirs.read(subject, token, 0) is None
    assert ours.read(subject._replace(tenant_id=UUID(int=2)), token, 0) is None
    assert ours.read(subject, "é", 0) is None
    assert ours.give(subject, 1000) != token
