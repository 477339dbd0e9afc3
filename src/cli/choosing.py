"""Settings that are null and get their value from the data: the size of a user's own images, and of batches."""

from collections.abc import MutableMapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src import schema
from src.errors import UserError

FALLBACK = schema.Suggestion([128, 128], schema.TrainingConfig.batch_size, [])  # if the data cannot be looked at
IMAGE_SIZE, BATCH_SIZE = "dataset.image_size", "training.batch_size"

Known = MutableMapping[str, schema.Suggestion]  # by the settings of the data set


def choose_settings(composed: DictConfig, known: Known | None = None) -> list[str]:
    """Replace null settings of a composed configuration by values that suit its images.

    A typed value, and one of a recipe, stays as it is. Data that is missing or wrong is reported where it is loaded.

    Args:
        composed: a configuration, or a part of one.
        known: earlier suggestions, to which this one is added: each data set is looked at once.

    Returns:
        The settings that were chosen from the images, as overrides, and the reasons; empty if nothing was.
    """
    choose_batch_size(composed)
    unset = _unset(composed)
    if not unset or not _kind(composed).suggests:
        return []
    suggested = _suggest(composed, {} if known is None else known)
    values: dict[str, Any] = {IMAGE_SIZE: suggested.image_size, BATCH_SIZE: suggested.batch_size}
    for name in unset:
        OmegaConf.update(composed, name, values[name])
    if not suggested.reasons:
        return []
    chosen = (f"{name}={values[name]}".replace(" ", "") for name in unset)
    return [f"chosen for these images: {' '.join(chosen)}", *(f"  {reason}" for reason in suggested.reasons)]


def choose_batch_size(composed: DictConfig) -> None:
    """Replace a null batch size by the default, unless it depends on the images."""
    if not _kind(composed).suggests and BATCH_SIZE in _unset(composed):
        OmegaConf.update(composed, BATCH_SIZE, FALLBACK.batch_size)


def _unset(composed: DictConfig) -> list[str]:
    """Return the names of the settings that are null, of those that can be chosen."""
    return [name for name in (IMAGE_SIZE, BATCH_SIZE) if _is_null(composed, *name.split("."))]


def _is_null(composed: DictConfig, group: str, key: str) -> bool:
    part = composed._get_node(group) if group in composed else None
    return isinstance(part, DictConfig) and key in part and part._get_node(key)._is_none()  # type: ignore[union-attr]


def _kind(composed: DictConfig) -> type[schema.DatasetConfig]:
    kind = OmegaConf.get_type(composed, "dataset") if "dataset" in composed else None
    return kind if isinstance(kind, type) and issubclass(kind, schema.DatasetConfig) else schema.DatasetConfig


def _suggest(composed: DictConfig, known: Known) -> schema.Suggestion:
    """Return what suits the images of the data set, which gets an image size if it has none: it needs one."""
    if _is_null(composed, "dataset", "image_size"):
        OmegaConf.update(composed, IMAGE_SIZE, FALLBACK.image_size)
    kind = _kind(composed)
    try:
        config = OmegaConf.to_object(composed.dataset)
        key = repr(config)
        if key not in known:
            known[key] = schema.load_name(kind.suggests)(config)
        return known[key]
    except UserError:
        return FALLBACK
