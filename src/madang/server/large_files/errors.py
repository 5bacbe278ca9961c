"""Why a large file cannot be taken."""

from madang.server.errors import Refusal


class FreedMeanwhile(Refusal):
    """The content was freed before the repository had it. Clients repeat by themselves on this status."""

    status = 503

    def __init__(self, sha256: str) -> None:
        super().__init__(f"the file {sha256} was freed while it was being brought. Send it again.")
