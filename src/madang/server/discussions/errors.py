"""Why something cannot be done in a discussion."""

from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound


class DiscussionNotFound(NotFound):
    """No discussion of that number in this repository."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no discussion or pull request #{number} here.")


class CommentNotFound(NotFound):
    """No comment of that id in this discussion."""

    def __init__(self, comment: str) -> None:
        super().__init__(f"There is no comment {comment[:40]!r} in this discussion.")


class NotOpen(Conflict):
    """What was asked can only be done while the pull request is open."""


class DiscussionFull(InvalidRequest):
    """So much was written here that no more can be shown on one page."""

    def __init__(self) -> None:
        super().__init__("This discussion has reached its greatest length. Open another one.")


class NotYours(Forbidden):
    """Only the author, or those who may write to the repository, can do this."""


class MergeConflict(Conflict):
    """Both sides changed the same places; clients read `filesWithConflicts` from the answer."""

    def __init__(self, paths: list[str]) -> None:
        named = ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
        super().__init__(
            f"The pull request and the main branch changed the same places of: {named}. Merge main into the pull "
            f"request, resolve them there, and try again.",
            filesWithConflicts=paths,
        )
