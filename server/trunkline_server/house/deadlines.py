"""From the settings to how long each method may take."""

from __future__ import annotations

from typing import Final

from trunkline_server.config import Settings
from trunkline_server.door.boundary import Deadlines
from trunkline_server.house.actions import CALL_TIMEOUT_S
from trunkline_server.house.tasks import METHODS

OTHER_TIMEOUT_S: Final = 10.0
MANY_TIMEOUT_S: Final = 600.0
MEDIA_TIMEOUT_S: Final = 300.0
COLLECTING_TIMEOUT_S: Final = 300.0
TRANSFER_TIMEOUT_S: Final = 900.0
SYNC_TIMEOUT_S: Final = 30.0
WATCH_TIMEOUT_S: Final = 900.0

_MEDIA: Final = ("GenerateImages", "EditImages", "SynthesizeSpeech", "Transcribe", "TranslateAudio")
_COLLECTING: Final = ("UpsertDocuments", "DeleteDocuments", "DeleteCollection", "CreateCollection", "Search")
_TRANSFERS: Final = ("UploadFile", "DownloadFile")
_TUNING: Final = ("CreateDataset", "ValidateDataset", "CreateFineTune")
_KEPT_ABROAD: Final = ("CreateVectorStore", "AddFiles", "RemoveFiles", "SearchVectorStore")
_TOOLS: Final = ("InvokeTool", "CallMcpTool", "CreateMcpServer", "RefreshMcpServer")
_TEXTS: Final = ("Complete", "Embed", "Rerank", "Moderate")


def deadlines_of(settings: Settings) -> Deadlines:
    own = {
        **dict.fromkeys(_TEXTS, settings.chat.unary_timeout_s),
        **dict.fromkeys(_MEDIA, MEDIA_TIMEOUT_S),
        **dict.fromkeys(METHODS, MANY_TIMEOUT_S),
        **dict.fromkeys(_KEPT_ABROAD, MEDIA_TIMEOUT_S),
        **dict.fromkeys(_TRANSFERS, TRANSFER_TIMEOUT_S),
        **dict.fromkeys(_TUNING, MEDIA_TIMEOUT_S),
        **dict.fromkeys(("Stream", "ResumeStream"), settings.chat.stream_timeout_s),
        "CompleteMany": MANY_TIMEOUT_S,
        **dict.fromkeys(_COLLECTING, COLLECTING_TIMEOUT_S),
        "ExecuteAction": CALL_TIMEOUT_S,
        "SyncModels": SYNC_TIMEOUT_S,
        "VerifyLog": MANY_TIMEOUT_S,
        "WatchProviderHealth": WATCH_TIMEOUT_S,
        **dict.fromkeys(_TOOLS, settings.tools.timeout_s + OTHER_TIMEOUT_S),
    }
    return Deadlines(own, OTHER_TIMEOUT_S)
