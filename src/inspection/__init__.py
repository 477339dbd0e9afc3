"""A look inside a trained network, as numbers; `src.figures` draws them.

All of it works on any Keras model that classifies images; a model that is a layer of another one is walked into.
"""

from src.inspection.cam import grad_cam
from src.inspection.maps import FeatureMaps, Filters, feature_maps, first_filters

__all__ = ["FeatureMaps", "Filters", "feature_maps", "first_filters", "grad_cam"]
