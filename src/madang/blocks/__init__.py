"""Parts: modules that take numbers and child modules, never a config."""
