"""Checkpoints: config.json, names in files <-> names in models, loading, saving, shards."""
