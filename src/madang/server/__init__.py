"""The self-hosted hub: repositories of models, datasets and Spaces, served to every public client.

It starts without torch. Each subject has a folder with `records` (tables), `service` (rules, no HTTP) and `errors`;
`api/` and `web/` are thin and know no tables.
"""
