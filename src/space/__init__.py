"""The space that a sweep searches."""

from src.space.definition import define, read_definition
from src.space.places import Places, own_places, places_of, searched_places, typed_places
from src.space.plan import SweepPlan, check_jobs
from src.space.space import Space
