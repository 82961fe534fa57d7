"""Text-guided self-supervision: edits of one known attribute, and words for what was done and what would undo it."""

from calm.edits.base import Applied, Edit, edits
from calm.edits.lesson import Lesson, make_lesson
from calm.edits.remedy import render
from calm.edits.suggest import to_suggestion
from calm.edits.words import advise, compare, describe, parse_advice, untouched
from calm.types import CLASSES

__all__ = [
    "CLASSES",
    "Applied",
    "Edit",
    "Lesson",
    "advise",
    "compare",
    "describe",
    "edits",
    "make_lesson",
    "parse_advice",
    "render",
    "to_suggestion",
    "untouched",
]
