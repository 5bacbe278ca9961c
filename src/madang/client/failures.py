"""What can go wrong between us and a hub, told as Madang's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from madang import settings
from madang.errors import HubError, MadangError, MissingFileError

TOO_BUSY = (408, 429)


def hub_address() -> str:
    """The hub that is asked: HF_ENDPOINT, or the public one."""
    from huggingface_hub import constants

    return settings.endpoint() or str(constants.ENDPOINT)


def hub_failures() -> tuple[type[Exception], ...]:
    """Everything that is raised, there or here, when a hub says no, says nothing sensible or cannot be reached."""
    from huggingface_hub import errors

    return (
        HubError,
        errors.HfHubHTTPError,
        errors.HTTPError,  # type: ignore[attr-defined]  # that of httpx or httpx2, whichever the release is built on
        errors.LocalEntryNotFoundError,
        errors.LocalTokenNotFoundError,
        errors.FileMetadataError,
        ConnectionError,
        TimeoutError,
    )


def is_no_answer(error: Exception) -> bool:
    """The hub said nothing about what was asked: unreachable, overloaded, broken. Asking again later may help."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    if isinstance(error, HfHubHTTPError):
        status = _status(error)
        return status >= 500 or status in TOO_BUSY
    return not isinstance(error, LocalTokenNotFoundError)


def explained(error: Exception, name: str, repo_type: str = "model", revision: str | None = None) -> MadangError:
    """The error a user should see instead of `error`, which came from asking a hub for the repository `name`."""
    from huggingface_hub import errors

    if isinstance(error, MadangError):
        return error
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # what it wraps says why
    hub = hub_address()
    if isinstance(error, errors.LocalTokenNotFoundError):
        return HubError(f"{hub} must know who you are, and nobody is logged in: login(token='…') or pass token='…'.")
    if isinstance(error, errors.RevisionNotFoundError):
        return MissingFileError(f"{name!r} has no revision {revision or 'main'!r} on {hub}.")
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"{name!r} on {hub} is gated: open its page and accept the conditions there, then login(token='…') or pass "
            "token='…'."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return MissingFileError(
            f"{name!r} is neither a folder here nor a {repo_type} on {hub} that you may read. "
            "Check the spelling; for a private one login(token='…') or pass token='…'."
        )
    if isinstance(error, errors.HfHubHTTPError):
        status, said = _status(error), error.server_message or str(error).splitlines()[0]
        if status == 401:
            return HubError(f"{hub} does not know who you are ({said}): login(token='…') with a token made there.")
        if status == 403:
            return HubError(f"{hub} does not allow this with your token for {name!r}: {said}")
        return HubError(f"{hub} answered {status} when asked for {name!r}: {said}")
    reason = str(error) or "no reason given"
    return HubError(f"{hub} could not be asked for {name!r} ({type(error).__name__}: {reason}).")


@contextmanager
def explaining(name: str, repo_type: str = "model", revision: str | None = None) -> Iterator[None]:
    """Turn what a hub's refusal raises within the block into the error a user should see; see `explained`."""
    try:
        yield
    except hub_failures() as error:
        raise explained(error, name, repo_type, revision) from error


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))
