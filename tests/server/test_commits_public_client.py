"""huggingface_hub, unmodified, in a process of its own: small files up and down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from madang.testing.hub import HubForTests

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.loopback

PROGRAM = """
from pathlib import Path
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, ModelCard,
                             hf_hub_download, snapshot_download)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

api, repo = HfApi(), "alice/bert"


def raises(expected, do, *given, **named):
    try:
        do(*given, **named)
    except expected as error:
        return str(error)
    raise AssertionError(f"{do.__name__} raised no {expected.__name__}")


def read(path, **named):
    return Path(hf_hub_download(repo, path, **named)).read_bytes()


api.create_repo(repo)
name = "한글 파일 (1).txt"
first = api.upload_file(path_or_fileobj="가나다\\n".encode(), path_in_repo=name, repo_id=repo)
assert read(name).decode() == "가나다\\n"
# the same again makes no commit
assert api.upload_file(path_or_fileobj="가나다\\n".encode(), path_in_repo=name, repo_id=repo).oid == first.oid

second = api.create_commit(repo, [
    CommitOperationAdd("config.json", b"{}"),
    CommitOperationAdd("data/a b.csv", b"x,y\\n1,2\\n"),
    CommitOperationAdd("empty.txt", b""),
], commit_message="three files", commit_description="with a description")
assert second.commit_url.endswith(f"/alice/bert/commit/{second.oid}")
api.create_commit(repo, [
    CommitOperationDelete("config.json"),
    CommitOperationCopy("data/a b.csv", "data/copy.csv"),
    CommitOperationCopy("config.json", "old/config.json", src_revision=second.oid),
], commit_message="copy and delete", parent_commit=second.oid)
assert sorted(api.list_repo_files(repo)) == sorted(
    [".gitattributes", name, "data/a b.csv", "data/copy.csv", "empty.txt", "old/config.json"])
raises(HfHubHTTPError, api.create_commit, repo, [CommitOperationAdd("x", b"x")], commit_message="late",
       parent_commit=second.oid)

raises(EntryNotFoundError, hf_hub_download, repo, "config.json")
raises(RevisionNotFoundError, hf_hub_download, repo, "x", revision="nothing")
raises(RepositoryNotFoundError, hf_hub_download, "alice/nothing", "x")
assert "Make sure to differentiate file and folder paths" in raises(
    EntryNotFoundError, api.delete_file, "nothing.txt", repo)
api.delete_folder("old", repo)
raises(HfHubHTTPError, api.upload_file, path_or_fileobj=b"x", path_in_repo="..\\\\ddd", repo_id=repo)

folder = Path(snapshot_download(repo))
assert (folder / name).read_text(encoding="utf-8") == "가나다\\n"
assert (folder / "data" / "copy.csv").read_bytes() == b"x,y\\n1,2\\n"
assert (folder / "empty.txt").read_bytes() == b""

proposal = api.create_commit(repo, [CommitOperationAdd("data/new.txt", b"new")], commit_message="a proposal",
                             create_pr=True)
assert proposal.pr_num == 1 and proposal.pr_revision == "refs/pr/1", proposal
assert read("data/new.txt", revision="refs/pr/1") == b"new"
api.upload_file(path_or_fileobj=b"newer", path_in_repo="data/new.txt", repo_id=repo, revision="refs/pr/1")
assert read("data/new.txt", revision="refs/pr/1") == b"newer"

ignored = Path("upload")
(ignored / "sub").mkdir(parents=True)
(ignored / ".gitignore").write_text("*.log\\n")
(ignored / "sub" / "a.log").write_text("left out")
(ignored / "sub" / "a.txt").write_text("taken")
api.upload_folder(folder_path=ignored, repo_id=repo)
files = api.list_repo_files(repo)
assert "sub/a.txt" in files and "sub/a.log" not in files, files

card = ModelCard("---\\nlicense: mit\\n---\\n# A card")
card.validate()
card.push_to_hub(repo)
assert read("README.md").startswith(b"---")
assert '- Error: "license" must be one of' in raises(
    ValueError, ModelCard("---\\nlicense: nonsense\\n---\\n").validate)
print("done")
"""


def test_the_public_client_changes_and_reads_files(served: HubForTests, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("HF_")} | {
        "HF_ENDPOINT": served.address,
        "HF_TOKEN": served.user("alice"),
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert said.stdout.strip().endswith("done"), said.stdout + said.stderr
