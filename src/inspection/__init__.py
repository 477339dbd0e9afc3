"""Numbers from inside networks and data sets, which `src.figures` draws.

Networks: filters, feature maps, Grad-CAM and costs. The functions work for any Keras model that classifies images, even
if it contains other models as layers. Data sets: copies of images, and labels that are probably wrong.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.inspection.cam import grad_cam
    from src.inspection.contents import (
        JUDGE_CLASSES,
        WEIGH_CLASSES,
        ImagePair,
        Place,
        count_kinds,
        count_pairs,
        describe_unbalanced,
        pairs_of,
        size_table,
        warnings_of,
    )
    from src.inspection.costs import measure_costs, measure_new
    from src.inspection.duplicates import Pair, find_pairs
    from src.inspection.labels import LabelIssue, find_label_issues
    from src.inspection.maps import FeatureMaps, Filters, feature_maps, first_filters
else:
    __getattr__ = lazy_package(__name__)
