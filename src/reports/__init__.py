"""What a run, a sweep or a pipeline leaves behind: tables, figures and a description."""
