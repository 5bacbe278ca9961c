"""What the public service has and this hub has not: answered at once, so that no client waits or tries again."""

from fastapi import Request

from madang.server.api.asking import AnyCaller
from madang.server.errors import NotFound
from madang.server.repositories.errors import RepositoryNotFound
from madang.server.routing import Router

router = Router(tags=["not part of this hub"])
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@router.api_route("/api/buckets/{path:rest}", methods=METHODS, include_in_schema=False)
def buckets(caller: AnyCaller) -> None:
    """This hub has no buckets: each is missing, which clients have an exception for."""
    raise RepositoryNotFound(signed_in=caller.signed_in)


@router.api_route("/api/jobs/{path:rest}", methods=METHODS, include_in_schema=False)
@router.api_route("/api/scheduled-jobs/{path:rest}", methods=METHODS, include_in_schema=False)
@router.api_route("/api/papers/{path:rest}", methods=METHODS, include_in_schema=False)
@router.api_route("/api/kernels/{path:rest}", methods=METHODS, include_in_schema=False)
@router.api_route("/api/daily_papers", methods=METHODS, include_in_schema=False)
def others(request: Request) -> None:
    """Says what is missing."""
    subject = request.url.path.split("/")[2].replace("-", " ").replace("_", " ")
    raise NotFound(f"This hub has no {subject}.")
