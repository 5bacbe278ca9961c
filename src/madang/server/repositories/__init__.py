"""Repositories: their names, settings, cards, access and history."""
