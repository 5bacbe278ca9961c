"""Xet: uploads in chunks that are cut by content, so that what the hub has already is not sent again.

A client cuts a file into chunks, sends those the hub does not have in bundles (xorbs), and then a list (a shard) that
says of which chunks the file consists. The hub puts the file together, checks its SHA-256 and keeps it as any other
large file; of a xorb only the table remains, with where in those files each chunk lies. Downloads know nothing of it.
"""
