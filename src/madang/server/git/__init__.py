"""Commits, trees and refs in the database, and git's own protocol over HTTP."""
