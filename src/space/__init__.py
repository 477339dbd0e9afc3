"""The space that a sweep searches."""

from src.space.space import Space as Space
from src.space.space import SweepPlan as SweepPlan
from src.space.space import config_of as config_of
from src.space.space import has_key as has_key
