"""Personal taste: from a few photos that a person rated to scores that order photos as that person would.

The general score is where every person begins (cold). Each rated example moves it (warm). Ratings are on 1–10 here,
whatever scale they were given on.
"""
