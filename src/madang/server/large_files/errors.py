"""Why a large file cannot be taken."""

from madang.server.errors import Refusal


class FreedMeanwhile(Refusal):
    """The content was freed in the moment in which it was brought. Clients repeat by themselves on this status."""

    status = 503

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} was freed while it was being brought. Send it again.")
