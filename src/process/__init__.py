"""The process that a command runs in: its environment, signals, slow imports, cores and unhandled errors."""
