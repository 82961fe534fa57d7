"""The exception tree: one root, and a class for each thing that a caller may want to handle apart.

Every message says what was expected, what was found and what to do about it.
"""


class CalmError(Exception):
    """Root of everything that calm-aesthetics raises for a reason a user can act on."""


class UsageError(CalmError):
    """The call itself is wrong: an unknown name, a contradictory option, a missing argument."""


class ConfigError(CalmError):
    """A configuration or recipe does not fit the parts that it is applied to."""


class PhotoError(CalmError):
    """A photo cannot be read: truncated, empty, oversized, not an image, unreadable or gone."""


class DataError(CalmError):
    """A data set is not where it was said to be, or its files do not have the expected layout."""


class WeightsError(CalmError):
    """Weights are missing, damaged or of the wrong shape."""


class StoreError(CalmError):
    """The store of answers is damaged, or cannot be read or written."""


class AbandonedError(CalmError):
    """Nobody waits for the answer any more."""


class BusyError(CalmError):
    """More photos wait for an answer than may."""


class JournalError(CalmError):
    """Files could not be linked, copied or moved as planned, or the journal of it cannot be kept."""


class CheckpointError(CalmError):
    """A training checkpoint is missing, damaged or belongs to another recipe."""
