"""What the hub does by itself, in the background."""
