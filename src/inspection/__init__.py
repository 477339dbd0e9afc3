"""Numbers from inside networks and data sets, which `src.figures` draws.

Networks: filters, feature maps, heat maps, patterns, a map of images, and costs. The functions work for any Keras model
that classifies images, even if it contains other models as layers. Data sets: copies of images, and labels that are
probably wrong.
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
    from src.inspection.embedding import embed, last_features
    from src.inspection.integrated_gradients import MAX_GAP, Attributions, integrated_gradients
    from src.inspection.labels import LabelIssue, find_label_issues
    from src.inspection.layers import MapLayer, check_map_layers, find_layers, map_layers
    from src.inspection.maps import FeatureMaps, Filters, feature_maps, first_filters
    from src.inspection.occlusion import occlusion_maps, rank_correlations
    from src.inspection.patterns import class_patterns, filter_patterns
    from src.inspection.scores import probabilities_of
else:
    __getattr__ = lazy_package(__name__)
