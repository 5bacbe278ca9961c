"""People, organisations, tokens, sessions, and who may do what."""
