"""What two people do with likes; the client can only take them back."""

import os
import warnings

from huggingface_hub import HfApi
from huggingface_hub.utils import get_session

warnings.simplefilter("ignore")
alice, bob, anyone = HfApi(token=os.environ["ALICE"]), HfApi(token=os.environ["BOB"]), HfApi(token=False)
name = alice.create_repo("bert").repo_id
for api in (alice, bob):
    get_session().post(f"{api.endpoint}/api/models/{name}/like", headers=api._build_hf_headers()).raise_for_status()
assert bob.list_liked_repos().models == [name]
assert anyone.list_liked_repos("alice").total == 1
assert sorted(user.username for user in anyone.list_repo_likers(name)) == ["alice", "bob"]
bob.unlike(name)
bob.unlike(name)
assert anyone.model_info(name).likes == 1
assert bob.list_liked_repos().total == 0
print("all done")
