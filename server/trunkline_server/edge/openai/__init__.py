"""OpenAI's API: its clients work with another base URL and key, and get every model of the gateway."""
