"""Why something cannot be done with a repository."""

from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refusal


class InvalidName(InvalidRequest):
    """No account, or no repository, can be called so."""


class RepositoryNotFound(Refusal):
    """No repository of that name, or one the caller may not know of: both look the same."""

    code = "RepoNotFound"

    def __init__(self, *, signed_in: bool) -> None:
        super().__init__("Repository not found")
        self.status = 404 if signed_in else 401


class GatedRepository(Refusal):
    """The owner lets in whom they know; the caller has not asked, or was not let in yet."""

    code = "GatedRepo"

    def __init__(self, type: str, name: str, *, signed_in: bool) -> None:
        super().__init__(
            f"Access to {type} {name} is restricted and you are not in the authorized list. "
            f"Visit its page to ask for access."
        )
        self.status = 403 if signed_in else 401


class RepositoryDisabled(Forbidden):
    """An administrator closed it. Clients know it by exactly this message."""

    def __init__(self) -> None:
        super().__init__("Access to this resource is disabled.")


class EntryNotFound(NotFound):
    """A file or folder that is not in this commit; clients remember the absence by the commit."""

    code = "EntryNotFound"

    def __init__(self, path: str, commit: str) -> None:
        super().__init__(f"Entry not found: {path[:200]}", headers={"X-Repo-Commit": commit})


class RepositoryExists(Conflict):
    """The name is taken; clients read `url` from the answer."""
