"""Pages for people, rendered here: one file per page, each with a `router`.

They work without scripts. Forms are answered only when a page of this hub sent them: see `pages`.
"""

from madang.server.web import device, home, join, login, once, password, sessions, static_files, tokens

ROUTERS = [
    home.router,
    login.router,
    once.router,
    join.router,
    device.router,
    tokens.router,
    sessions.router,
    password.router,
    static_files.router,
]

__all__ = ["ROUTERS"]
