"""A model that is finished already, such as ``calm-small``: it is asked, and learns nothing here."""

import numpy as np

from calm.eval.compare.row import Found, Place
from calm.eval.compare.spec import RowSpec
from calm.eval.gather import ask, refuse_trained
from calm.inference.pipeline import Pipeline
from calm.inference.tasks import ScoreTask
from calm.model.catalogue import model_dir


def run(place: Place, row: RowSpec, seed: int) -> Found:
    """Scores of the test photos by the same engine as ``calm score``.

    Raises:
        DataError: for a model that was trained on test photos.
    """
    predictor = Pipeline.load(model_dir(row.folder))
    paths = place.photos.test.paths
    compared = refuse_trained(predictor, paths)
    failed: list[dict[str, str]] = []
    answers = {each.path: each.result for each in ask(predictor, paths, ScoreTask(), "scoring", failed)}
    scores = [result.score for path in paths if (result := answers[path])]
    facts = {"model_sha256": predictor.sha256, "training_hashes_compared": compared}
    return Found(
        np.array([score.value for score in scores]),
        facts,
        distributions=np.array([score.distribution for score in scores]),
        model=row.folder,
    )
