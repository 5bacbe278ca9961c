"""What people do with a hub, in the words of every huggingface_hub from 0.23 on.

Run by test_public_clients.py in the environment of that release, with HF_ENDPOINT, HF_TOKEN and HF_HOME set.
Prints one JSON object: what each step saw.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi

work = Path(sys.argv[1])
kind = sys.argv[2]
api = HfApi()
repository = f"alice/{kind}-by-{huggingface_hub.__version__}"
seen: dict[str, object] = {"version": huggingface_hub.__version__}
place = {"repo_id": repository, "repo_type": kind}


def content(name: str, size: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    block = hashlib.sha256((repository + name).encode()).digest()
    return b"".join(hashlib.sha256(block + number.to_bytes(4, "big")).digest() for number in range(size // 32))


def files(revision: str = "main") -> list[str]:
    return sorted(api.list_repo_files(**place, revision=revision))


seen["who"] = api.whoami()["name"]
sdk = {"space_sdk": "static"} if kind == "space" else {}
seen["url"] = str(api.create_repo(**place, **sdk))
seen["again"] = str(api.create_repo(**place, exist_ok=True, **sdk))

(work / "folder" / "한글 폴더").mkdir(parents=True)
(work / "folder" / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
(work / "folder" / "한글 폴더" / "한글 파일 (1).txt").write_text("안녕하세요", encoding="utf-8")
(work / "folder" / "README.md").write_text("---\nlicense: mit\nlanguage: ko\n---\n# 기계번역\n", encoding="utf-8")
large = content("large", 12 * 1024 * 1024)
(work / "folder" / "model.safetensors").write_bytes(large)
api.upload_folder(**place, folder_path=work / "folder", commit_message="a folder")
seen["files"] = files()
commits = len(api.list_repo_commits(**place))
api.upload_folder(**place, folder_path=work / "folder", commit_message="the same folder")
seen["commits after the same folder again"] = len(api.list_repo_commits(**place)) - commits

down = api.hf_hub_download(repository, "model.safetensors", repo_type=kind)
seen["large file is the same"] = Path(down).read_bytes() == large
named = api.hf_hub_download(repository, "한글 폴더/한글 파일 (1).txt", repo_type=kind)
seen["korean file"] = Path(named).read_text(encoding="utf-8")

api.create_branch(**place, branch="feature/x")
api.upload_file(**place, path_or_fileobj=b"on a branch", path_in_repo="branch.txt", revision="feature/x")
seen["files of the branch"] = sorted(set(files("feature/x")) - set(files()))
api.create_tag(**place, tag="v1.0", tag_message="first", revision="feature/x")
refs = api.list_repo_refs(repository, repo_type=kind)
seen["refs"] = sorted(ref.ref for ref in [*refs.branches, *refs.tags])

api.create_commit(
    **place,
    operations=[
        CommitOperationAdd("added.txt", b"added"),
        CommitOperationCopy("model.safetensors", "copies/model.safetensors"),
        CommitOperationDelete("한글 폴더/", is_folder=True),
    ],
    commit_message="several things",
    commit_description="in one commit",
)
seen["after the commit"] = files()
proposed = api.create_commit(
    **place, operations=[CommitOperationAdd("proposed.txt", b"proposed")], commit_message="a proposal", create_pr=True
)
seen["pull request"] = proposed.pr_num
snapshot = Path(huggingface_hub.snapshot_download(repository, repo_type=kind, revision="refs/pr/1"))
seen["snapshot of the pull request"] = sorted(
    path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()
)
api.merge_pull_request(repository, 1, repo_type=kind)
seen["merged"] = api.get_discussion_details(repository, 1, repo_type=kind).status
seen["proposal is in main"] = "proposed.txt" in files()

discussion = api.create_discussion(repository, "a question", repo_type=kind, description="why?")
api.comment_discussion(repository, discussion.num, "because", repo_type=kind)
api.change_discussion_status(repository, discussion.num, "closed", repo_type=kind)
details = api.get_discussion_details(repository, discussion.num, repo_type=kind)
seen["discussion"] = [details.title, details.status, [event.type for event in details.events]]

info = api.repo_info(repository, repo_type=kind, files_metadata=True)
sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
seen["size of the large file"] = sizes["model.safetensors"]
listed = {"model": api.list_models, "dataset": api.list_datasets, "space": api.list_spaces}[kind]
seen["found"] = [item.id for item in listed(search=repository.partition("/")[2], limit=5)]
seen["by tag"] = repository in [
    item.id for item in listed(filter="ko" if kind == "model" else "language:ko" if kind == "dataset" else "region:us")
]

api.delete_file("added.txt", **place)
api.delete_branch(**place, branch="feature/x")
api.delete_tag(**place, tag="v1.0")
api.super_squash_history(**place, commit_message="all at once")
seen["history after the squash"] = [commit.title for commit in api.list_repo_commits(**place)]
moved = repository + "-moved"
api.move_repo(repository, moved, repo_type=kind)
seen["by the old name"] = api.repo_info(repository, repo_type=kind).id
os.environ["HF_HUB_OFFLINE"] = "0"
again = api.hf_hub_download(repository, "config.json", repo_type=kind, force_download=True)
seen["downloaded by the old name"] = Path(again).read_text(encoding="utf-8")
api.delete_repo(moved, repo_type=kind)
seen["exists after deletion"] = api.repo_exists(moved, repo_type=kind)
print(json.dumps(seen))
