"""The process of a command: its environment, signals, slow imports, cores, lost output and unhandled errors."""
