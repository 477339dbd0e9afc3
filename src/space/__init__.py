"""The space that a sweep searches."""

from src.space.space import Space, SweepPlan
