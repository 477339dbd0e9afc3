"""Mistakes that a user can fix, which a command prints without a traceback, and descriptions of other errors."""


class UserError(ValueError):
    """A mistake of the user: the message gives the value, what was expected, and what to do."""

    exit_code = 1


class ConfigError(UserError):
    """A value or a combination of values that the configuration does not allow."""

    exit_code = 2


class DataError(UserError):
    """A data set that is missing, damaged, or not what its configuration says."""


class StoreError(UserError):
    """A tracking store that cannot be reached, or an address that is not one of a store."""


class NotKept(StoreError):
    """A file that a run does not keep."""


class ModelFileError(UserError):
    """A saved model that is missing, altered, or does not fit."""


class CheckpointError(UserError):
    """A checkpoint that is damaged, or does not fit the training."""


class NotEnoughMemory(UserError):
    """A network or its batches are too large for this machine."""


class NotEnoughSpace(UserError):
    """A disk with too little space for what a run keeps."""


class ResultDiffers(UserError):
    """A run that was trained again has another result."""


class FaultsLeft(UserError):
    """A store in which something is wrong."""


class TrainingDiverged(UserError):
    """The loss is no longer a finite number."""


def is_memory_error(error: BaseException) -> bool:
    """Return True if Python or TensorFlow raised the error because memory ran out.

    That of TensorFlow is recognized by its name, because this module does not import TensorFlow.
    """
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a colon at its end, or its class' name if there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":")
