"""What an owner and somebody else do with a gated dataset."""

import os
import warnings

from huggingface_hub import HfApi
from huggingface_hub.utils import HfHubHTTPError

warnings.simplefilter("ignore")
alice, bob, anyone = HfApi(token=os.environ["ALICE"]), HfApi(token=os.environ["BOB"]), HfApi(token=False)
secret = alice.create_repo("secret", repo_type="dataset").repo_id
alice.update_repo_settings(secret, gated="manual", repo_type="dataset")
kind = {"repo_type": "dataset"}
for call in (alice.list_pending_access_requests, alice.list_accepted_access_requests):
    assert list(call(secret, **kind)) == []
alice.grant_access(secret, "bob", **kind)
(granted,) = alice.list_accepted_access_requests(secret, **kind)
assert (granted.username, granted.email, granted.status) == ("bob", None, "accepted")
bob.auth_check(secret, **kind)


def refused(call, *given, **named):
    try:
        call(*given, **named)
    except HfHubHTTPError as error:
        return error.response.status_code


assert refused(alice.grant_access, secret, "bob", **kind) == 400
assert refused(alice.accept_access_request, secret, "bob", **kind) == 404
alice.cancel_access_request(secret, "bob", **kind)
(pending,) = alice.list_pending_access_requests(secret, **kind)
assert refused(bob.auth_check, secret, **kind) == 403
assert refused(alice.grant_access, secret, "bob", **kind) == 400
alice.reject_access_request(secret, request_id=pending.request_id, rejection_reason="No", **kind)
assert [request.username for request in alice.list_rejected_access_requests(secret, **kind)] == ["bob"]
alice.accept_access_request(secret, "bob", **kind)
assert refused(lambda: list(bob.list_accepted_access_requests(secret, **kind))) == 403

print("all done")
