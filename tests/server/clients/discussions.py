"""What two people do in discussions and pull requests."""

import os
import warnings

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.utils import HfHubHTTPError

warnings.simplefilter("ignore")
alice, bob, anyone = HfApi(token=os.environ["ALICE"]), HfApi(token=os.environ["BOB"]), HfApi(token=False)
name = alice.create_repo("bert").repo_id

question = bob.create_discussion(name, "A question", description="Why?")
assert bob.get_discussion_details(name, question.num) == question
assert (question.num, question.status, question.author, question.is_pull_request) == (1, "open", "bob", False)
said = alice.comment_discussion(name, 1, "Because.")
edited = alice.edit_discussion_comment(name, 1, said.id, "Because *so*.")
assert (edited.edited, edited.number_of_edits, edited.content) == (True, 1, "Because *so*.")
assert edited.rendered == "<p>Because <em>so</em>.</p>\n"
assert edited.last_edited_by == "alice"
hidden = alice.hide_discussion_comment(name, 1, said.id.upper())
assert hidden.hidden
assert hidden.content != "Because *so*."
renamed = bob.rename_discussion(name, 1, "A better question")
assert (renamed.old_title, renamed.new_title) == ("A question", "A better question")
closed = alice.change_discussion_status(name, 1, "closed", comment="Done")
assert closed.new_status == "closed"
events = bob.get_discussion_details(name, 1).events
assert [event.type for event in events] == ["comment", "comment", "title-change", "comment", "status-change"]
assert {renamed.id, closed.id, hidden.id} <= {event.id for event in events}

draft = bob.create_pull_request(name, "Add a file", description="It is missing")
assert bob.get_discussion_details(name, draft.num) == draft
assert (draft.status, draft.git_reference, draft.target_branch) == ("draft", "refs/pr/2", "refs/heads/main")
bob.create_commit(name, [CommitOperationAdd("file.txt", b"Content")], commit_message="Add it", revision="refs/pr/2")
assert bob.list_repo_files(name, revision="refs/pr/2") == [".gitattributes", "file.txt"]
bob.change_discussion_status(name, 2, "open")
refused = 0
try:
    bob.merge_pull_request(name, 2)
except HfHubHTTPError as error:
    refused = error.response.status_code
assert refused == 403
alice.merge_pull_request(name, 2, comment="Thanks")
merged = anyone.get_discussion_details(name, 2)
assert (merged.status, merged.conflicting_files) == ("merged", [])
assert merged.merge_commit_oid == alice.repo_info(name).sha
assert "+Content" in merged.diff
assert "file.txt" in alice.list_repo_files(name)
assert alice.list_repo_commits(name)[0].title == "Add a file (#2)"

made = bob.create_commit(name, [CommitOperationAdd("more.txt", b"More")], commit_message="More", create_pr=True)
assert made.pr_num == 3
assert anyone.get_discussion_details(name, 3).status == "open"
refs = alice.list_repo_refs(name, include_pull_requests=True)
assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/2", "refs/pr/3"]
listed = list(anyone.get_repo_discussions(name))
assert [found.num for found in listed] == [3, 2, 1]
closed = anyone.get_repo_discussions(name, discussion_type="pull_request", discussion_status="closed")
assert [found.num for found in closed] == [2]
assert [found.num for found in anyone.get_repo_discussions(name, author="bob")] == [3, 2, 1]
print("all done")
