"""Guards on work other than chat: transcripts, pictures, speech, vectors, tasks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.jobs import create, ended
from tests.fixtures.refusal import Refusal, refusal
from tests.gateway.test_guard import MAIL, MASK, REDACT, REFUSE, STANDARD, found, policy, rule
from trunkline.v1 import audio_pb2, chat_pb2, content_pb2, embeddings_pb2, guard_pb2, images_pb2, jobs_pb2

SOUND = content_pb2.Blob(data=b"RIFF____WAVEfmt ", media_type="audio/wav")
CARD = "My card is 4111 1111 1111 1111 and"
JUDGING = "sandbox/moderation"
JUDGED = guard_pb2.Guard(input=rule(personal_data=0, harm=STANDARD), moderation_model=JUDGING)
JUDGED_AFTER = guard_pb2.Guard(output=rule(personal_data=0, harm=STANDARD), moderation_model=JUDGING)


def recording(text: str, **fields: Any) -> audio_pb2.TranscriptionInput:
    """One in which the sandbox hears this."""
    script = {"sandbox": json.dumps({"script": {"text": text}})}
    return audio_pb2.TranscriptionInput(model="sandbox/listen", audio=SOUND, provider_options_json=script, **fields)


async def heard(gateway: RunningGateway, text: str, **fields: Any) -> audio_pb2.TranscribeResponse:
    request = audio_pb2.TranscribeRequest(input=recording(text, **fields))
    return await gateway.audio.Transcribe(iter([request]), metadata=gateway.metadata())


async def paint(gateway: RunningGateway, prompt: str, **fields: Any) -> images_pb2.GenerateImagesResponse:
    input = images_pb2.ImageInput(model="sandbox/picture", prompt=prompt, **fields)
    request = images_pb2.GenerateImagesRequest(input=input)
    return await gateway.images.GenerateImages(request, metadata=gateway.metadata())


async def speak(gateway: RunningGateway, text: str) -> list[audio_pb2.SynthesizeSpeechResponse]:
    input = audio_pb2.SpeechInput(model="sandbox/speak", text=text, voice="tone")
    call = gateway.audio.SynthesizeSpeech(audio_pb2.SynthesizeSpeechRequest(input=input), metadata=gateway.metadata())
    return [told async for told in call]


async def embed(gateway: RunningGateway, *texts: str) -> embeddings_pb2.EmbedResponse:
    input = embeddings_pb2.EmbedInput(model="sandbox/embed", texts=texts)
    return await gateway.embeddings.Embed(embeddings_pb2.EmbedRequest(input=input), metadata=gateway.metadata())


async def test_a_transcript_is_redacted_in_its_text_and_in_every_word(gateway: RunningGateway) -> None:
    await policy(gateway, guard=guard_pb2.Guard(output=rule(REDACT)))
    granularity = audio_pb2.TIMESTAMP_GRANULARITY_WORD
    told = await heard(gateway, f"{CARD} {MAIL}", timestamps=granularity)
    assert told.transcript.text == "My card is [CARD] and [EMAIL]"
    words = [word.text for word in told.transcript.words]
    assert words == ["My", "card", "is", "[CARD]", "", "", "", "and", "[EMAIL]"]
    assert all("4111" not in each.text for each in told.transcript.segments)
    assert found(told.receipt) == [("CARD", True, REDACT, 1), ("EMAIL", True, REDACT, 1)]
    assert told.receipt.outcome == chat_pb2.OUTCOME_COMPLETED


@pytest.mark.parametrize(
    ("guard", "text", "kind"),
    [(guard_pb2.Guard(output=rule(REFUSE)), CARD, "CARD"), (JUDGED_AFTER, "You are vermin", "hate")],
    ids=["personal data", "a moderation model"],
)
async def test_a_transcript_that_must_not_be_told_is_withheld(
    gateway: RunningGateway, guard: guard_pb2.Guard, text: str, kind: str
) -> None:
    await policy(gateway, guard=guard)
    spec = jobs_pb2.JobSpec(transcription=recording(text))
    job = await ended(gateway, (await create(gateway, spec)).job_id)
    for told in (await heard(gateway, text), job.result.transcription):
        assert told.transcript == audio_pb2.Transcript(language="en")
        assert (told.receipt.outcome, found(told.receipt)) == (chat_pb2.OUTCOME_FILTERED, [(kind, True, REFUSE, 1)])
    assert (await heard(gateway, "You are nice")).transcript.text == "You are nice"


async def test_prompts_of_pictures_speech_and_vectors_are_refused(gateway: RunningGateway) -> None:
    await policy(gateway, guard=guard_pb2.Guard(input=rule(REFUSE)))
    personal = Refusal("INVALID_ARGUMENT", "PII_DETECTED", "input")
    options = {"sandbox": json.dumps({"hint": MAIL})}
    for call in (
        paint(gateway, MAIL),
        paint(gateway, "a cat", provider_options_json=options),
        speak(gateway, MAIL),
        embed(gateway, "fine", MAIL),
    ):
        assert await refusal(call) == personal


async def test_a_moderation_model_judges_prompts_of_pictures_speech_and_vectors(gateway: RunningGateway) -> None:
    await policy(gateway, guard=JUDGED)
    harmful = Refusal("INVALID_ARGUMENT", "CONTENT_BLOCKED", "input")
    for call in (paint(gateway, "You are vermin"), speak(gateway, "You are vermin"), embed(gateway, "You are vermin")):
        assert await refusal(call) == harmful


async def test_what_is_redacted_in_prompts_is_counted(gateway: RunningGateway) -> None:
    await policy(gateway, guard=guard_pb2.Guard(input=rule(MASK)))
    pictures, vectors = await paint(gateway, f"a letter to {MAIL}"), await embed(gateway, MAIL, MAIL)
    *_, sound = await speak(gateway, f"Write to {MAIL}")
    assert found(pictures.receipt) == [("EMAIL", False, MASK, 1)]
    assert found(vectors.receipt) == [("EMAIL", False, MASK, 2)]
    assert found(sound.completed) == [("EMAIL", False, MASK, 1)]


async def test_a_prompt_as_the_provider_has_changed_it_is_looked_through(gateway: RunningGateway) -> None:
    await policy(gateway, guard=guard_pb2.Guard(output=rule(REDACT)))
    painted = await paint(gateway, f"a letter to {MAIL}")
    assert MAIL not in painted.images[0].revised_prompt
    assert found(painted.receipt) == [("EMAIL", True, REDACT, 1)]
    await policy(gateway, guard=guard_pb2.Guard(output=rule(REFUSE)))
    withheld = await paint(gateway, f"a letter to {MAIL}")
    assert (list(withheld.images), withheld.receipt.outcome) == ([], chat_pb2.OUTCOME_FILTERED)
