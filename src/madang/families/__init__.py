"""One file per model type: config, composition, weight names, heads."""
