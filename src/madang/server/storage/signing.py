"""Signed addresses of a bucket: Amazon's Signature Version 4 in the query of an address.

The client of the bucket signs plain addresses only. These also say what the file is called and that it is to be kept,
not shown, which has to be signed too.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

from madang.settings import S3Access

ALGORITHM = "AWS4-HMAC-SHA256"


def signed_url(
    access: S3Access, bucket: str, path: str, moment: datetime, seconds: int, file_name: str | None = None
) -> str:
    """An address that reads `path` of the bucket for `seconds` from `moment` (UTC) and saves it as `file_name`."""
    scheme, host, resource = _place(access, bucket, path)
    more = {}
    if file_name is not None:
        more["response-content-disposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        more["response-content-type"] = "application/octet-stream"
    return f"{scheme}://{host}{resource}?{signed_query(access, host, resource, moment, seconds, more)}"


def signed_query(
    access: S3Access, host: str, resource: str, moment: datetime, seconds: int, more: Mapping[str, str]
) -> str:
    """The query of a signed address: who signs, until when, what `more` asks for, and the signature."""
    day, stamp = f"{moment:%Y%m%d}", f"{moment:%Y%m%dT%H%M%SZ}"
    scope = f"{day}/{access.region}/s3/aws4_request"
    query = {
        **more,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access.key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if access.session_token:
        query["X-Amz-Security-Token"] = access.session_token
    arguments = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    request = f"GET\n{resource}\n{arguments}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + access.secret).encode()
    for part in (day, access.region, "s3", "aws4_request"):
        key = _mac(key, part)
    return f"{arguments}&X-Amz-Signature={_mac(key, text).hex()}"


def _place(access: S3Access, bucket: str, path: str) -> tuple[str, str, str]:
    """Scheme, host and path: Amazon has a host for each bucket, other servers have one for all."""
    endpoint = access.public or access.endpoint
    if not endpoint:
        return "https", f"{bucket}.s3.{access.region}.amazonaws.com", f"/{quote(path)}"
    parts = urlsplit(endpoint)
    return parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{bucket}/{quote(path)}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
