"""Login of a command line through a browser: codes to begin with, then a token, later another one in its place."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from madang.server.accounts import devices, tokens
from madang.server.accounts.caller import Caller
from madang.server.api.asking import TheHub, client_address
from madang.server.api.forms import Form
from madang.server.rate_limits import RequestLimit
from madang.server.routing import Router

router = Router(tags=["oauth"])
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@router.post("/oauth/device")
def begin(request: Request, hub: TheHub, form: Form) -> JSONResponse:
    """The codes of a new login."""
    address = _counted(request)
    if form.get("client_id") != devices.PUBLIC_CLIENT:
        return _refused("invalid_client", f"This hub knows one client, {devices.PUBLIC_CLIENT}.", 401)
    with hub.database.write() as connection:
        codes = devices.begin(connection, address=address, agent=request.headers.get("user-agent", ""))
    page = f"{hub.settings.address}/device"
    return _answer(
        {
            "device_code": codes.device,
            "user_code": codes.user,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={codes.user}",
            "expires_in": devices.LASTS // 1000,
            "interval": devices.INTERVAL,
        }
    )


@router.post("/oauth/token")
def token(request: Request, hub: TheHub, form: Form) -> JSONResponse:
    """The token of a login that was approved, or a new one for an old one."""
    _counted(request)
    grant_type = form.get("grant_type")
    if grant_type not in (DEVICE_CODE, "refresh_token"):
        known = f"{DEVICE_CODE} and refresh_token"
        return _refused("unsupported_grant_type", f"This hub knows the grants {known}.")
    if form.get("client_id") != devices.PUBLIC_CLIENT:
        return _refused("invalid_client", f"This hub knows one client, {devices.PUBLIC_CLIENT}.", 401)
    with hub.database.write() as connection:
        if grant_type == DEVICE_CODE:
            given = devices.token_for(connection, form.get("device_code", ""))
        else:
            given = tokens.renew_login(connection, form.get("refresh_token", "")) or devices.NotYet(
                "invalid_grant", "This login is over. Log in again."
            )
    if isinstance(given, devices.NotYet):
        return _refused(given.reason, str(given))
    return _answer(
        {
            "access_token": given.access,
            "refresh_token": given.refresh,
            "token_type": "bearer",
            "expires_in": given.seconds,
        }
    )


def _counted(request: Request) -> str:
    """The address of the client, whose requests are counted although it has no token yet."""
    address = client_address(request)
    limit: RequestLimit = request.app.state.request_limit
    request.state.rate_limit = limit.count(Caller(address=address))
    return address


def _refused(reason: str, message: str, status: int = 400) -> JSONResponse:
    return _answer({"error": reason, "error_description": message}, status)


def _answer(body: dict[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(body, status, {"Cache-Control": "no-store"})
