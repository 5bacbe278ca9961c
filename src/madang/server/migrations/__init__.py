"""How the database of a hub changes from release to release."""
