"""Networks from their configs."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.models.arithmetic import LAYER_COLUMNS, layer_table
    from src.models.building import build_model, predict
    from src.models.sketch import sketch_network
    from src.models.transfer import load_backbone
    from src.models.weights import find_weights
else:
    __getattr__ = lazy_package(__name__)
