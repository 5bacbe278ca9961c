"""Provokes every refusal that the client has an exception for, and prints which exception came of each."""

import json
import sys

from huggingface_hub import CommitOperationAdd, HfApi

api, nobody, stranger = HfApi(), HfApi(token=False), HfApi(token=sys.argv[1])
bad = HfApi(token="hf_wrong")
attempts = {
    "missing repository": lambda: api.model_info("alice/nothing"),
    "missing repository, nobody": lambda: nobody.model_info("alice/nothing"),
    "missing repository, download": lambda: nobody.hf_hub_download("alice/nothing", "x"),
    "private repository": lambda: stranger.model_info("alice/secret"),
    "private repository, nobody": lambda: nobody.hf_hub_download("alice/secret", "README.md"),
    "missing revision": lambda: api.model_info("alice/open", revision="nowhere"),
    "missing revision, download": lambda: api.hf_hub_download("alice/open", "README.md", revision="nowhere"),
    "missing file": lambda: api.hf_hub_download("alice/open", "nothing.txt"),
    "missing folder": lambda: list(api.list_repo_tree("alice/open", "nothing")),
    "gated, nobody": lambda: nobody.hf_hub_download("alice/gated", "README.md"),
    "gated, stranger": lambda: stranger.hf_hub_download("alice/gated", "README.md"),
    "gated, auth check": lambda: stranger.auth_check("alice/gated"),
    "disabled": lambda: list(stranger.list_repo_tree("alice/disabled")),
    "bad request": lambda: next(iter(api.list_models(sort="nonsense"))),
    "bad tag name": lambda: api.create_tag("alice/open", tag="a..b"),
    "no right to write": lambda: stranger.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="alice/open"),
    "stale parent": lambda: api.create_commit(
        "alice/open", [CommitOperationAdd("x", b"x")], commit_message="x", parent_commit="0" * 40
    ),
    "exists already": lambda: api.create_repo("alice/open"),
    "bad token": lambda: bad.whoami(),
    "bad token, repository": lambda: bad.model_info("alice/open"),
    "missing bucket": lambda: api.bucket_info("alice/nothing"),
    "missing job": lambda: api.inspect_job(job_id="nothing"),
    "not safetensors": lambda: api.get_safetensors_metadata("alice/open"),
}
seen = {}
for name, attempt in attempts.items():
    try:
        attempt()
        seen[name] = "nothing was raised"
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        seen[name] = [type(error).__name__, status]
print(json.dumps(seen))
