"""A look inside a trained network, as numbers; `src.figures` draws them.

All of it works on any Keras model that classifies images; a model that is a layer of another one is walked into.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.inspection.cam import grad_cam
    from src.inspection.maps import FeatureMaps, Filters, feature_maps, first_filters
else:
    __getattr__ = lazy_package(__name__)
