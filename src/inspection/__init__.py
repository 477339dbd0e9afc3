"""Numbers from inside a network: filters, feature maps and Grad-CAM, which `src.figures` draws, and what it costs.

They work for any Keras model that classifies images, also for one that contains other models as layers.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.inspection.cam import grad_cam
    from src.inspection.costs import measure_costs, measure_new
    from src.inspection.maps import FeatureMaps, Filters, feature_maps, first_filters
else:
    __getattr__ = lazy_package(__name__)
