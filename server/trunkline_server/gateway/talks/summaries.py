"""What of a conversation is left out of a call goes with it in short: in a summary that follows the conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trunkline_server.core import history
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.talks.aside import Aside
from trunkline_server.store.conversation_messages import ConversationMessages, Earlier
from trunkline_server.store.conversations import Conversation, Conversations

TOKENS_MAX: Final = 512
"""Of a summary."""
READ_MESSAGES_MAX: Final = 200
READ_TOKENS_MAX: Final = 16_000
ROUNDS_MAX: Final = 4
"""One call brings a summary no further than this; the next one goes on."""
CHARS_MAX: Final = 8000
WISH: Final = (
    "Sum up the conversation below in at most 200 words, so that somebody could go on with it from the summary alone: "
    "names, numbers, decisions, wishes, open questions. Answer with the summary alone."
)


@dataclass(frozen=True)
class Summaries:
    """Whoever calls has the conversation's turn."""

    aside: Aside
    conversations: Conversations
    messages: ConversationMessages

    async def brought(self, call: Call, model: str, kept: Conversation, through: int) -> Conversation:
        """The conversation with a summary that reaches to this position, or as far as one call brings it."""
        for _ in range(ROUNDS_MAX):
            since = kept.summary_through
            read = await self._read(kept, through)
            summary = await self._told(call, model, kept.summary, read) if read else ""
            if not summary:
                break
            kept = replace(kept, summary=summary, summary_through=read[-1].position)
            await self.conversations.sum_up(kept.conversation_id, summary, kept.summary_through, since)
        return kept

    async def _read(self, kept: Conversation, through: int) -> list[Earlier]:
        limits = (READ_MESSAGES_MAX, READ_TOKENS_MAX)
        return await self.messages.between(kept.conversation_id, kept.summary_through, through, *limits)

    async def _told(self, call: Call, model: str, summary: str, read: list[Earlier]) -> str:
        """Empty where the model does not answer: then the call does without."""
        said = history.transcript(each.message.message for each in read)
        text = f"Before:\n{summary}\n\nSince then:\n{said}" if summary else said
        try:
            return (await self.aside.ask(call, model, WISH, text, TOKENS_MAX))[:CHARS_MAX]
        except TrunklineError:
            return ""
