"""Between the command line and the dataclasses: composing a configuration, and explaining what is wrong with one."""
