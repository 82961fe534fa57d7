"""The words that the thematic tokens are aligned with: names that data sets give, and nouns of captions."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from calm.train.shots import Known


@functools.cache
def tables() -> dict[str, Any]:
    """Word lists (frozen sets), ``same`` and the patterns of ``words.yaml``."""
    found = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
    return {name: frozenset(each.split()) if isinstance(each, str) else each for name, each in found.items()}


def words_of(text: str) -> list[str]:
    """Lower-case words, commas and full stops of a text."""
    return re.findall(r"[a-z]+(?:['-][a-z]+)*|[.,]", text.lower())


def singular(word: str) -> str:
    """One form for one thing: "dogs" → "dog"; words that only look like plurals stay."""
    same = tables()["same"]
    if word in same:
        return same[word]
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is", "pants", "shorts", "jeans")):
        return word
    if word.endswith("ies"):
        base = word[:-3] + "y"
    else:
        base = word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]
    return same.get(base, base)


def caption_nouns(captions: Iterable[str], least: int = 12, share: float = 0.25) -> list[str]:
    """Nouns of captions: words that often stand between a determiner or adjective and what follows a noun phrase.

    Args:
        least: how many captions a word must stand in.
        share: of its places in which it must stand like a noun.
    """
    known = tables()
    before_nouns = known["determiners"] | known["colours"] | known["not_named"]
    never = known["not_named"] | known["colours"]
    counts: Counter[str] = Counter()
    nouns: Counter[str] = Counter()
    for caption in captions:
        words = [*words_of(caption), "."]
        for i, word in enumerate(words[:-1]):
            if not word[0].isalpha() or word in known["followers"] or word in known["determiners"]:
                continue
            form, before, after = singular(word), words[i - 1] if i else "the", words[i + 1]
            counts[form] += 1
            ends = after in known["followers"] or after.endswith(("ing", "s"))
            nouns[form] += ends and before in before_nouns and not word.endswith("ing")
    return sorted(
        word
        for word, count in counts.items()
        if count >= least
        and nouns[word] >= share * count
        and word not in never
        and len(word) > 2
        and not word.endswith("ing")
    )


class Vocabulary:
    """Words with their places; finds which of them a photo's labels and captions name.

    Args:
        words: unique, in a fixed order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.index = {word: i for i, word in enumerate(self.words)}

    def of(self, photo: Known) -> list[str]:
        """Words that are true of a photo by its labels, or else by what was detected in it."""
        return self.named(photo.names, photo.captions) or self.named(photo.detected)

    def named(self, names: Iterable[str], captions: Iterable[str] = ()) -> list[str]:
        """Words that are true of a photo, the main thing first: its names in order, then nouns of its captions by how
        many captions name them.
        """
        found: dict[str, None] = {}
        for name in names:
            for form in (name, singular(name)):
                if form in self.index:
                    found[form] = None
                    break
        counts: Counter[str] = Counter()
        for caption in captions:
            pieces = words_of(caption)
            pairs = [" ".join(pair) for pair in zip(pieces, pieces[1:], strict=False)]
            counts.update({form for word in [*pieces, *pairs] if (form := singular(word)) in self.index})
        for word, _ in counts.most_common():
            found[word] = None
        return list(found)
