"""Kinds of rows, one file each: a function ``run(place, row, seed)`` that learns and predicts the test photos."""
