"""What the packaged model answers about the example photos, kept so that a change of it is seen.

``python tests/golden.py`` writes ``golden_scores.json`` anew: after new weights, and after nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

from calm import Calm

FILE = Path(__file__).parent / "golden_scores.json"
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.jpg"))


def scores_of(calm: Calm) -> dict[str, float]:
    """Score of each example photo by its name, three decimals."""
    return {path.name: round(score.value, 3) for path, score in zip(EXAMPLES, calm.score(EXAMPLES), strict=True)}


if __name__ == "__main__":
    found = scores_of(Calm.from_pretrained("calm-small"))
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(FILE.read_text(encoding="utf-8"), end="")
