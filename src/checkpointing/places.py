"""The folders of checkpoints."""

from pathlib import Path

from src.places import local_path

FOLDER = "checkpoints"  # the folder of all checkpoints, next to the store
TRIAL = "trial-"  # begins the names of folders of chains of trials


def root_of(checkpoint_dir: str | None, store_folder: Path) -> Path:
    """Return the folder of all checkpoints, which need not exist.

    Args:
        checkpoint_dir: the folder that a user has named, such as `training.checkpoint_dir`.
        store_folder: the folder of the store.
    """
    if checkpoint_dir is None:
        return store_folder / FOLDER
    folder = local_path(checkpoint_dir).absolute()
    return folder.resolve() if ".." in folder.parts else folder


def trial_key(study: str, chain: int) -> str:
    """Return the name of the folder of a chain of trials.

    Args:
        study: the id of the study.
        chain: the number of the chain's first trial.
    """
    return f"{TRIAL}{study}-{chain}"
