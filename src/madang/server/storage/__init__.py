"""Large files by their SHA-256: one interface, a folder or an S3 bucket behind it."""
