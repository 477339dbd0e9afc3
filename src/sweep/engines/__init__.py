"""Engines: where the workers of a sweep run, if not in processes of the command itself."""
