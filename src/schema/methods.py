"""The table of methods that look inside a model.

A new method is one entry in `METHODS`, besides the function that it names:

    "saliency": Method(draws="src.reports.methods:saliency", label="saliency", shows_images=True)
"""

from collections.abc import Collection
from dataclasses import dataclass

from src.errors import ConfigError
from src.schema.checks import one_of, require


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to look inside a model.

    Attributes:
        draws: `module:name` of a function that gets a `src.reports.explanation.Subject`, and yields pictures, pages,
            measures and notes.
        label: its name in a sentence.
        shows_images: True if it shows single images. Others show the model or the whole test split.
        needs_convolutions: True if it shows nothing of a network without convolutions.
        after_training: True if every run has its pictures, because it takes little time.
    """

    draws: str
    label: str
    shows_images: bool = False
    needs_convolutions: bool = False
    after_training: bool = False


DRAWS = "src.reports.methods"

METHODS: dict[str, Method] = {
    "filters": Method(draws=f"{DRAWS}:filters", label="filters", needs_convolutions=True, after_training=True),
    "feature_maps": Method(
        draws=f"{DRAWS}:feature_maps",
        label="feature maps",
        shows_images=True,
        needs_convolutions=True,
        after_training=True,
    ),
    "grad_cam": Method(
        draws=f"{DRAWS}:grad_cam",
        label="Grad-CAM",
        shows_images=True,
        needs_convolutions=True,
        after_training=True,
    ),
    "patterns": Method(draws=f"{DRAWS}:patterns", label="patterns of filters", needs_convolutions=True),
    "class_patterns": Method(draws=f"{DRAWS}:class_patterns", label="patterns of classes"),
    "occlusion": Method(draws=f"{DRAWS}:occlusion", label="occlusion", shows_images=True),
    "integrated_gradients": Method(
        draws=f"{DRAWS}:integrated_gradients", label="integrated gradients", shows_images=True
    ),
    "embedding": Method(draws=f"{DRAWS}:embedding", label="a map of images"),
}


def chosen_methods(names: Collection[str] | None, is_image: bool = False) -> list[str]:
    """Return the methods in the order of the table.

    Args:
        names: those that were chosen; None for all.
        is_image: True if a single image is explained; then the methods that show no images are not among all.
    """
    if names is None:
        return [name for name, method in METHODS.items() if method.shows_images or not is_image]
    return [name for name in METHODS if name in names]


def check_methods(names: list[str] | None, is_image: bool) -> None:
    """Raise ConfigError if a method does not exist, or does not show an image although one is explained."""
    require(names != [], "methods", names, "at least one of " + ", ".join(METHODS))
    for name in names or ():
        one_of(tuple(METHODS), "methods", name)
        if is_image and not METHODS[name].shows_images:
            raise ConfigError(
                f"methods: {name} shows the model, not an image; remove image=, or choose from "
                + ", ".join(chosen_methods(None, is_image=True))
            )
