"""What is known of a repository from the files of its main branch: read again at every change of it.

Whatever the files hold, a push does not fail here: what cannot be read counts as absent.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.git.records import objects as git_objects
from madang.server.git.store import Objects
from madang.server.git.trees import walk
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.repositories import tags
from madang.server.repositories.cards import front_matter
from madang.server.repositories.files import as_json, read_file, read_text
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.repositories.safetensors import parameters_of
from madang.server.repositories.values import plain, text
from madang.server.search import index

# files beyond so many tell nothing new about formats
MOST_FILES = 20_000
LONGEST_CARD = 1024 * 1024
LONGEST_CONFIG = 8 * 1024 * 1024
LONGEST_TEMPLATE = 100_000
SDKS = ("gradio", "streamlit", "docker", "static")
_TOKENS = re.compile("(bos|eos|unk|sep|pad|cls|mask)_token")


def refresh(connection: Connection, repository: Repository, head: str) -> None:
    """Read card, config and weights of the commit `head` into the row of the repository."""
    objects = Objects(connection, repository.id)
    tree = objects.commit(head).tree
    contents = read(objects, tree, repository.type)
    values: dict[str, Any] = {"head": head, "modified_at": now(), "card": contents.card, "config": contents.config}
    if repository.type == "model":
        library = tags.library_of(contents)
        task = tags.task_of(contents, library)
        weights = parameters_of(objects, tree)
        values |= {
            "library_name": library,
            "pipeline_tag": task,
            "tags": tags.model_tags(contents, library, task),
            "safetensors": weights if weights is not None else sa.null(),
            "parameters": weights["total"] if weights is not None else None,
        }
    elif repository.type == "dataset":
        values["tags"] = tags.dataset_tags(contents)
    else:
        sdk = text(contents.card.get("sdk"))
        if sdk in SDKS:
            values["sdk"] = sdk
        known = connection.scalar(sa.select(repositories.c.sdk).where(repositories.c.id == repository.id))
        values["tags"] = tags.space_tags(contents, values.get("sdk", known))
    values["used_storage"] = used_storage(connection, repository.id)
    connection.execute(repositories.update().where(repositories.c.id == repository.id).values(values))
    index.update(connection, repository.id)


def read(objects: Objects, tree: str, type: str) -> tags.Contents:
    """The files that tell something."""
    readme = read_text(objects, objects.find(tree, "README.md"), LONGEST_CARD)
    contents = tags.Contents(front_matter(readme), readme)
    for path, entry in walk(objects, tree, recursive=True):
        if not entry.is_folder:
            contents.files.append(path)
        if len(contents.files) == MOST_FILES:
            break
    if type == "model":
        contents.config = _config(objects, tree)
    return contents


def used_storage(connection: Connection, repository_id: int) -> int:
    """The bytes of all objects and large files of a repository, in all its revisions."""
    small = sa.select(sa.func.sum(git_objects.c.size)).where(git_objects.c.repository_id == repository_id)
    large = (
        sa.select(sa.func.sum(blobs.c.size))
        .join_from(repository_blobs, blobs)
        .where(repository_blobs.c.repository_id == repository_id)
    )
    return int(connection.scalar(small) or 0) + int(connection.scalar(large) or 0)


def _config(objects: Objects, tree: str) -> dict[str, Any]:
    """What clients want to see of config.json and of the files beside it."""
    found: dict[str, Any] = {}
    config = _json(objects, tree, "config.json")
    for key, kinds in (("architectures", list), ("model_type", str), ("auto_map", dict), ("quantization_config", dict)):
        if isinstance(config.get(key), kinds):
            found[key] = config[key]
    tokenizer = {
        key: value
        for key, value in _json(objects, tree, "tokenizer_config.json").items()
        if (_TOKENS.fullmatch(key) and isinstance(value, str | dict)) or key == "chat_template"
    }
    template = read_text(objects, objects.find(tree, "chat_template.jinja"), LONGEST_CONFIG)
    if template:
        tokenizer["chat_template"] = template
    if len(str(tokenizer.get("chat_template", ""))) > LONGEST_TEMPLATE:
        del tokenizer["chat_template"]
    if tokenizer:
        found["tokenizer_config"] = tokenizer
    adapter = _json(objects, tree, "adapter_config.json")
    if adapter:
        found["peft"] = {key: adapter[key] for key in ("base_model_name_or_path", "task_type") if key in adapter}
    pipeline = _json(objects, tree, "model_index.json").get("_class_name")
    if isinstance(pipeline, str):
        found["diffusers"] = {"_class_name": pipeline}
    known: dict[str, Any] = plain(found)
    return known if len(str(known)) <= 4 * LONGEST_TEMPLATE else {}


def _json(objects: Objects, tree: str, path: str) -> dict[str, Any]:
    content = read_file(objects, tree, path, LONGEST_CONFIG)
    found = None if content is None else as_json(content)
    return found if isinstance(found, dict) else {}
