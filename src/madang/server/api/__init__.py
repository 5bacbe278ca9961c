"""HTTP for clients: one file per resource, each with a `router`."""

from madang.server.api import (
    absent,
    accounts,
    commits,
    discussions,
    gating,
    git,
    history,
    large_files,
    likes,
    listing,
    oauth,
    organizations,
    preupload,
    refs,
    repositories,
    repository_settings,
    resolve,
    trees,
    uploads,
    validation,
    xet,
)

# the order decides between addresses that fit twice
ROUTERS = [
    absent.router,
    uploads.router,
    likes.router,
    gating.router,
    discussions.router,
    git.router,
    large_files.router,
    accounts.router,
    organizations.router,
    oauth.router,
    listing.router,
    repository_settings.router,
    repositories.router,
    trees.router,
    refs.router,
    history.router,
    xet.router,
    validation.router,
    preupload.router,
    commits.router,
    resolve.router,
]

__all__ = ["ROUTERS"]
