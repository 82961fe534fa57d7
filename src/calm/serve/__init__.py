"""Models over HTTP: an API that the clients of OpenAI's know, on the one engine."""
