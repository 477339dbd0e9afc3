"""The process that a command runs in: its signals, and its slow imports."""
