"""Data sets as arrays: found, verified, split and limited."""

from src.datasets.loading import LOADERS as LOADERS
from src.datasets.loading import Dataset as Dataset
from src.datasets.loading import Split as Split
from src.datasets.loading import class_names_of as class_names_of
from src.datasets.loading import content_digest as content_digest
from src.datasets.loading import load_dataset as load_dataset
from src.datasets.loading import moved_to as moved_to
