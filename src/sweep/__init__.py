"""A sweep: one study, its trials trained by worker processes, all of it under one MLflow run."""

from src.sweep.running import run_study, submit
