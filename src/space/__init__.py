"""The space that a sweep searches."""

from src.space.definition import Places, define, own_places, places_of, read_definition, searched_places, typed_places
from src.space.plan import SweepPlan, check_jobs
from src.space.space import Space
