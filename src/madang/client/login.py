"""Who you are on a hub: the token that all hub clients on this machine share."""

from typing import Any

from madang import settings
from madang.client.failures import explained, hub_address, hub_failures
from madang.errors import HubError, InputError


def login(
    token: str | None = None,
    *,
    add_to_git_credential: bool = False,
    skip_if_logged_in: bool = True,
    new_session: bool | None = None,
) -> None:
    """Check `token` with the hub (`HF_ENDPOINT`) and keep it, so that later calls need none.

    Without a token it asks for one, in the terminal, the notebook or the browser. `new_session=True` is the older way
    to say `skip_if_logged_in=False`: ask although somebody is logged in.

    Raises HubError when the hub does not know the token or cannot be reached, InputError for what is no user's token.

    Example:
        >>> login(token="hf_…")
    """
    import huggingface_hub

    if hub_address() != huggingface_hub.constants.ENDPOINT:
        # that package checks tokens with the hub that HF_ENDPOINT named when it was imported
        raise InputError(
            f"HF_ENDPOINT was changed to {settings.endpoint()} after hub functions were used with "
            f"{huggingface_hub.constants.ENDPOINT}. Set it before starting Python, then log in."
        )
    if new_session is not None:
        skip_if_logged_in = not new_session
    options = {"add_to_git_credential": add_to_git_credential, "skip_if_logged_in": skip_if_logged_in}
    try:
        huggingface_hub.login(token, **options)
    except hub_failures() as error:
        raise explained(error, "your account") from error
    except ValueError as error:
        raise InputError(f"nobody can log in with this token: {error}") from error


def logout(token_name: str | None = None) -> None:
    """Forget the token called `token_name`, or all that are kept on this machine."""
    import huggingface_hub

    huggingface_hub.logout(token_name)


def whoami(token: str | None = None) -> dict[str, Any]:
    """What the hub knows of the owner of `token` (or of who is logged in): `name`, `type`, `orgs`, …

    Raises HubError when nobody is logged in, the token is not known or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        found: dict[str, Any] = HfApi(endpoint=settings.endpoint()).whoami(token)
    except hub_failures() as error:
        raise explained(error, "your account") from error
    if not isinstance(found.get("name"), str):
        raise HubError(f"what {hub_address()} answered names no account.")
    return found
