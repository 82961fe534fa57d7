"""What a photo shows, in words that fit into a sentence: from captions and from names of classes."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FINITE = _words(
    """
    runs jumps stands walks plays sits rides looks holds climbs leaps carries catches chases watches leaves
    flies swims bikes tries does takes makes shakes poses lays smiles splashes prepares races follows goes
    gets attempts hangs wears bounds rolls crosses waits kicks appears chews drinks eats bicycles leads throws
    lies kneels swings emerges leans sniffs skateboards barks talks fishes licks paddles helps pushes bites
    dives crouches rests enjoys trots reaches bends pulls grabs drives dances moves comes says passes jogs
    retrieves hits falls digs performs sleeps relaxes balances uses gives kisses lands returns touches reads
    surfs hikes squats wades descends crawls treads growls stops observes puts kayaks opens approaches laughs
    clings picks pokes stretches has have run jump stand walk sit hang climb swim look wear hold eat ride pose
    chase watch wait smile sleep is are was were exits being frolics gathers collides collide
    """
)
"""Words that make a caption a sentence rather than a name of what is seen."""
BASE = frozenset(
    {word[:-1] for word in FINITE if word.endswith("s")}
    | {word[:-2] for word in FINITE if word.endswith("es")}
    | {"carry", "try", "fly", "paddle", "race", "are"}
)
"""The same verbs as they follow a plural."""
DETERMINERS = _words(
    """
    a an the this these two three four five six seven several some many one another someone people his her
    """
)
MANY = _words(
    """
    two three four five six seven several some many people men women children boys girls dogs kids
    """
)
PERSONS = _words(
    """
    man woman boy girl child person dog kid baby toddler skier surfer climber cyclist player lady
    """
)
PERSONS_MANY = _words(
    """
    men women boys girls children people dogs kids babies players ladies skiers surfers
    """
)
PLACING = _words(
    """
    in on at with of by over under near through from into along across while and to is are for sitting
    standing running
    """
)
GENERIC = _words("scene object photo picture image thing")
"""Names of classes that tell nothing of what is seen."""
MASS = _words(
    """
    wool velvet hay guacamole consomme spaghetti dough broccoli mashed-potato ice-cream red-wine espresso
    eggnog toilet-tissue sunscreen thatch outerwear clothing corn rapeseed carbonara chocolate-sauce
    chainlink-fence pasta food coral fungus ear-wax salt
    """
)
PLURAL = _words(
    """
    shorts pants shoes sunglasses jeans trousers maracas binoculars swimming-trunks flowers people
    """
)


@dataclass(frozen=True)
class Content:
    """What is seen: ``noun`` fits after "a photo of", ``sentence`` stands alone; either may be None."""

    noun: str | None
    sentence: str | None


def read_content(text: str | None) -> Content:
    """Split a caption or class phrase into a form for sentences; both None when there is nothing to say."""
    words = _clean(text or "").split()
    if not words or len(words) > 24:
        return Content(None, None)
    if " ".join(words) in GENERIC:
        return Content(None, None)
    if words[0] == "there" and words[1:2] in (["is"], ["are"]):
        words = words[2:]
    plain = " ".join(words)
    if len(words) <= 4 and words[0] not in DETERMINERS and not PLACING.intersection(words):
        return Content(with_article(plain), None)
    plain = _determined(words)
    words = plain.split()
    named = re.sub(r"^((?:\S+ ){1,9}?)(?:is|are) (\w+ing\b)", r"\1\2", plain)
    verbs = FINITE | BASE if words[0] in MANY else FINITE
    acts = re.search(
        r"(?<!with )(?<!of )(?<!and )\b[a-z]{3,}[a-rt-z]s (?:a|an|the|his|her|its|their|up|down|out|over) ", named
    )
    if not acts and not verbs.intersection(re.findall(r"[a-z]+", named)):
        return Content(named, plain if plain != named else None)
    return Content(None, plain)


def _determined(words: list[str]) -> str:
    """The caption with an article where it begins with a bare singular: "girl running" → "a girl running"."""
    singular = next((word for word in words[:6] if word in PERSONS), None)
    several = any(word in PERSONS_MANY for word in words[:5])
    if words[0] in DETERMINERS or singular is None or several:
        return " ".join(words)
    return f"{article(words[0])} {' '.join(words)}"


def with_article(name: str) -> str:
    """A class name with the article it needs: "a Gordon setter", "wool", "a pair of shorts", "an acorn"."""
    name = name.strip()
    slug = name.lower().replace(" ", "-")
    if slug in PLURAL or (slug.endswith("s") and slug[:-1] in PLURAL):
        return name if slug in ("people", "flowers", "maracas") else f"a pair of {name}"
    if slug in MASS or slug.split("-")[0] in ("the", "a", "an", "two", "some"):
        return name
    return f"{article(name)} {name}"


def article(words: str) -> str:
    """ "a" or "an", by the sound that the words begin with as far as letters tell."""
    low = words.lower()
    if re.match(r"(uni|use|usu|eu|one\b|ur[aie])", low):
        return "a"
    return "an" if re.match(r"([aeiou]|hour|honest|hono)", low) else "a"


def _clean(text: str) -> str:
    text = re.sub(r"\s+", " ", text.replace(" .", ".").replace(" ,", ",").replace(" s ", "'s ")).strip(" .!\"'")
    text = re.sub(r"\s*[.;].*$", "", text)
    text = re.sub(r" (II|III|IV|V|VI)$", "", text)
    if text[:1].isupper() and not text[1:2].isupper() and text.split(" ")[0].lower() in _COMMON_FIRST:
        text = text[0].lower() + text[1:]
    return text


_COMMON_FIRST = _words(
    """
    a an the two three four five six several some many man men woman women people person children child boy
    boys girl girls dog dogs black white brown young small large little old there one this someone group kids
    kid couple red yellow green blue tan big a football baseball basketball skier snowboarder surfer climber
    cyclist biker hiker runners players
    """
)
