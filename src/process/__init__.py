"""The process that a command runs in: its signals, its slow imports, and its machine."""
