"""Networks from their configs."""

from src.models.building import BUILDERS as BUILDERS
from src.models.building import build_model as build_model
from src.models.building import predict as predict
