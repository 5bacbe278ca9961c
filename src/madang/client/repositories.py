"""Making, renaming and removing repositories on a hub, their branches and tags."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madang import settings
from madang.client.failures import explaining
from madang.client.names import RULE, is_repository_name
from madang.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class RemoteRepository:
    """A repository on the hub; each method is one request. They raise HubError or MissingFileError."""

    name: str
    type: str = "model"
    token: str | bool | None = None

    def __post_init__(self) -> None:
        if not is_repository_name(self.name):
            raise InputError(f"{self.name!r} cannot be the name of a repository: {RULE}.")

    @contextmanager
    def _asking(self, revision: str | None = None) -> Iterator["HfApi"]:
        from huggingface_hub import HfApi

        with explaining(self.name, self.type, revision):
            yield HfApi(endpoint=settings.endpoint(), token=self.token)

    def create(self, *, private: bool | None = None, exist_ok: bool = False, space_sdk: str | None = None) -> str:
        """Make it; returns its address."""
        with self._asking() as api:
            made = api.create_repo(
                self.name, repo_type=self.type, private=private, exist_ok=exist_ok, space_sdk=space_sdk
            )
        return str(made)

    def delete(self, *, missing_ok: bool = False) -> None:
        """Remove it with everything in it."""
        with self._asking() as api:
            api.delete_repo(self.name, repo_type=self.type, missing_ok=missing_ok)

    def move(self, to: str) -> None:
        """Give it another name or owner; the old name keeps leading to it."""
        with self._asking() as api:
            api.move_repo(self.name, to, repo_type=self.type)

    def change(self, *, private: bool | None = None, gated: str | bool | None = None) -> None:
        """Who may see it (`private`), and whether readers must be let in (`gated`: "auto", "manual", False)."""
        with self._asking() as api:
            api.update_repo_settings(self.name, repo_type=self.type, private=private, gated=gated)  # type: ignore[arg-type]

    def refs(self) -> list[tuple[str, str]]:
        """Names and commits of all branches, then of all tags."""
        with self._asking() as api:
            found = api.list_repo_refs(self.name, repo_type=self.type)
        return [(ref.ref, ref.target_commit) for ref in [*found.branches, *found.tags]]

    def create_branch(self, branch: str, *, revision: str | None = None) -> None:
        with self._asking(revision) as api:
            api.create_branch(self.name, repo_type=self.type, branch=branch, revision=revision)

    def delete_branch(self, branch: str) -> None:
        with self._asking(branch) as api:
            api.delete_branch(self.name, repo_type=self.type, branch=branch)

    def create_tag(self, tag: str, *, revision: str | None = None, message: str | None = None) -> None:
        with self._asking(revision) as api:
            api.create_tag(self.name, repo_type=self.type, tag=tag, revision=revision, tag_message=message)

    def delete_tag(self, tag: str) -> None:
        with self._asking(tag) as api:
            api.delete_tag(self.name, repo_type=self.type, tag=tag)
