"""What a photo shows, in a short list of things that few examples suffice to learn, and a phrase that names them.

A model that knows only these says "a dog on grass" and no more; it does not make up the rest of a caption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """One kind of thing.

    Attributes:
        phrase: as it stands in a sentence; for places with the preposition.
        kind: ``person``, ``subject`` or ``place``.
        words: what captions and names of classes call it.
    """

    phrase: str
    kind: str
    words: frozenset[str]


def _thing(phrase: str, kind: str, words: str) -> Thing:
    return Thing(phrase, kind, frozenset(words.split()))


THINGS: dict[str, Thing] = {
    "man": _thing("a man", "person", "man guy gentleman male"),
    "woman": _thing("a woman", "person", "woman lady bride"),
    "child": _thing("a child", "person", "child boy girl kid toddler baby children boys girls kids babies infant"),
    "people": _thing(
        "several people",
        "person",
        "people crowd group men women couple team players family onlookers spectators ladies",
    ),
    "dog": _thing(
        "a dog",
        "subject",
        "dog dogs puppy puppies greyhound greyhounds poodle terrier collie retriever setter spaniel hound shepherd "
        "schnauzer corgi mastiff husky malamute pug chihuahua dalmatian beagle whippet pinscher bulldog pointer",
    ),
    "cat": _thing("a cat", "subject", "cat cats kitten tabby tiger lion leopard cheetah lynx cougar"),
    "horse": _thing("a horse", "subject", "horse horses pony sorrel zebra"),
    "bird": _thing(
        "a bird",
        "subject",
        "bird birds duck ducks goose swan gull seagull eagle owl parrot hen cock ostrich finch goldfinch junco robin "
        "bulbul jay magpie chickadee kite vulture peacock quail partridge macaw cockatoo hornbill hummingbird toucan "
        "drake stork flamingo heron crane pelican penguin albatross",
    ),
    "insect": _thing(
        "an insect",
        "subject",
        "butterfly beetle bee ant fly grasshopper cricket mantis cockroach dragonfly damselfly ladybug spider weevil "
        "admiral monarch ringlet cicada leafhopper lacewing",
    ),
    "fish": _thing("a fish", "subject", "fish goldfish shark tench ray stingray eel coho sturgeon gar lionfish puffer"),
    "food": _thing(
        "food",
        "subject",
        "food salad pasta snack dessert pizza burger cheeseburger hotdog soup carbonara guacamole cake bread bagel "
        "pretzel burrito trifle consomme fruit banana orange lemon strawberry pineapple broccoli cauliflower meat loaf",
    ),
    "flower": _thing("a flower", "subject", "flower flowers daisy rose tulip slipper blossom"),
    "clothes": _thing(
        "a piece of clothing",
        "subject",
        "t-shirt pants shorts skirt outerwear jean sweatshirt cardigan poncho kimono gown trench jersey",
    ),
    "car": _thing("a car", "subject", "car cars truck bus van taxi cab jeep limousine ambulance minivan pickup racer"),
    "bicycle": _thing("a bicycle", "subject", "bicycle bike bikes bicycles cyclist biker bmx bicyclist"),
    "motorcycle": _thing("a motorcycle", "subject", "motorcycle motorcycles motorbike moped scooter"),
    "boat": _thing("a boat", "subject", "boat boats canoe kayak sailboat ship schooner catamaran yawl gondola"),
    "ball": _thing("a ball", "subject", "ball soccer football baseball tennis basketball volleyball"),
    "building": _thing("a building", "subject", "building buildings church castle palace mosque monastery barn tower"),
    "grass": _thing("on grass", "place", "grass grassy lawn field meadow yard"),
    "water": _thing("by the water", "place", "water lake river pond stream creek waterfall shallow"),
    "sea": _thing("by the sea", "place", "ocean beach sea wave waves shore surf surfer seashore coast"),
    "pool": _thing("in a pool", "place", "pool swimming"),
    "snow": _thing("in snow", "place", "snow snowy ski skier skiing snowboarder sled ice winter alp"),
    "street": _thing("in a street", "place", "street road sidewalk city traffic pavement crosswalk streets"),
    "mountain": _thing("among rocks", "place", "mountain mountains rock rocks rocky cliff boulder hill peak climber"),
    "forest": _thing("among trees", "place", "forest woods trees tree wooded woodland jungle"),
    "room": _thing("in a room", "place", "room interior indoors kitchen bedroom living table floor carpet couch bed"),
}
"""Things by name, in the order of the head that sees them."""

NAMES = tuple(THINGS)
ALONE = {
    "grass": "a stretch of grass",
    "water": "a stretch of water",
    "sea": "the sea",
    "pool": "a pool",
    "snow": "a snowy scene",
    "street": "a street",
    "mountain": "a rocky scene",
    "forest": "a scene with trees",
    "room": "a room",
}
"""How a place is called where nothing stands in it."""
SURE = 0.55
"""Probability from which a thing is said to be there."""


def told_by_captions(captions: Sequence[str]) -> list[float]:
    """1 for each thing that a caption names, 0 for the others: captions tell of all that matters."""
    found = _words(" ".join(captions))
    return [float(bool(thing.words & found)) for thing in THINGS.values()]


def told_by_class(name: str) -> list[float]:
    """The same from the name of the photo's one class, which says nothing of persons and places: nan for those."""
    found = _words(name)
    named = [bool(thing.words & found) for thing in THINGS.values()]
    return [
        1.0 if here else 0.0 if thing.kind == "subject" else float("nan")
        for here, thing in zip(named, THINGS.values(), strict=True)
    ]


def told(content: str) -> list[float]:
    """What a caption (several words with a verb or an article) or the name of a class tells; all nan for ""."""
    if not content:
        return [float("nan")] * len(THINGS)
    if re.match(r"(?i)(an?|the|two|three|some|people|man|woman|there) ", content) or len(content.split()) > 4:
        return told_by_captions([content])
    return told_by_class(content)


def phrase(
    probabilities: Mapping[str, float] | Sequence[float], sure: float | Mapping[str, float] = SURE
) -> str | None:
    """A noun phrase for what is surely there, such as "a man and a dog on grass"; None where nothing is sure.

    Args:
        probabilities: 0–1 of each thing, by name or in the order of :data:`NAMES`.
        sure: probability from which a thing is said to be there, of all or of each by name.
    """
    least = sure if isinstance(sure, Mapping) else dict.fromkeys(NAMES, sure)
    given = probabilities if isinstance(probabilities, Mapping) else dict(zip(NAMES, probabilities, strict=True))
    here = sorted((-given[name], name) for name in NAMES if given.get(name, 0.0) >= least.get(name, SURE))
    things = [name for _, name in here if THINGS[name].kind != "place"]
    if "people" in things:  # several people are told once
        things = [name for name in things if THINGS[name].kind != "person" or name == "people"]
    places = [name for _, name in here if THINGS[name].kind == "place"]
    if not things:
        return ALONE[places[0]] if places else None
    nouns = " and ".join(THINGS[name].phrase for name in things[:2])
    return f"{nouns} {THINGS[places[0]].phrase}" if places else nouns


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))
