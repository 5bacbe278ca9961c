"""What is known of a repository from the files of its main branch: read again at every change of it."""

from typing import Any

import yaml
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.git.objects import BLOB
from madang.server.git.store import Objects
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository

LONGEST_CARD = 1024 * 1024


def refresh(connection: Connection, repository: Repository, head: str) -> None:
    """Read card and config of the commit `head` into the row of the repository."""
    objects = Objects(connection, repository.id)
    tree = objects.commit(head).tree
    card = front_matter(_text(objects, tree, "README.md"))
    connection.execute(
        repositories.update().where(repositories.c.id == repository.id).values(head=head, modified_at=now(), card=card)
    )


def _text(objects: Objects, tree: str, path: str) -> str:
    entry = objects.find(tree, path)
    if entry is None or entry.is_folder or objects.file(entry.oid).size > LONGEST_CARD:
        return ""
    return objects.get(entry.oid, BLOB).content.decode("utf-8", "replace")


def front_matter(text: str) -> dict[str, Any]:
    """The YAML between the first two lines of three dashes; {} when there is none or it cannot be read."""
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].strip() != "---":
        return {}
    try:
        end = next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")
        found = yaml.safe_load("\n".join(lines[1:end]))
    except (StopIteration, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
