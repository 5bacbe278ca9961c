"""HTTP for clients: one file per resource, each with a `router`."""

from madang.server.api import commits, repositories, resolve, trees

# the order decides between addresses that fit twice
ROUTERS = [repositories.router, trees.router, commits.router, resolve.router]

__all__ = ["ROUTERS"]
