"""Speech, transcription and the list of voices in the dialect that OpenAI began: what others do differently is data."""
