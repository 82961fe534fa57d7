"""Text-guided self-supervision: edits of one known attribute, and words for what was done and what would undo it."""

from calm.edits.base import Applied, Edit, edits
from calm.edits.remedy import render, render_all, to_suggestion
from calm.edits.synthetic import SyntheticEdit, synthetic_edit
from calm.edits.words import advise, describe
from calm.types import CLASSES

__all__ = [
    "CLASSES",
    "Applied",
    "Edit",
    "SyntheticEdit",
    "advise",
    "describe",
    "edits",
    "synthetic_edit",
    "render",
    "render_all",
    "to_suggestion",
]
