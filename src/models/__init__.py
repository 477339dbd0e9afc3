"""Networks from their configs."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.models.building import BUILDERS, build_model, predict
else:
    __getattr__ = lazy_package(__name__)
