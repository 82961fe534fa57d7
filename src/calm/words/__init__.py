"""Words about photos: what can be observed, said, and read back from what was said."""

from calm.words.questions import QUESTIONS

__all__ = ["QUESTIONS"]
