"""Why an upload by Xet is refused."""

from madang.server.errors import InvalidRequest, Refusal


class InvalidXorb(InvalidRequest):
    """Bytes that are no xorb, or not the one they were announced as."""


class InvalidShard(InvalidRequest):
    """Bytes that are no shard, or a file in it that is not what the shard says."""


class UnknownXorbs(InvalidRequest):
    """A shard names xorbs that this hub does not have, or that the caller may not use: both look the same."""


class TicketOver(Refusal):
    """An access token of Xet that ended, or was not made by this hub; clients ask for a new one."""

    status = 401
