"""The properties of repositories that clients can ask for, read off the rows."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.engine import Row

from madang.server.clock import iso
from madang.server.errors import InvalidRequest
from madang.server.repositories import tags
from madang.server.repositories.pipelines import auto_model_of
from madang.server.repositories.values import texts

# what `expand` may name: the public hub's words, in their order
_COMMON = (
    *("author", "cardData", "createdAt", "disabled", "lastModified", "likes", "private", "resourceGroup", "sha"),
    *("siblings", "tags", "trendingScore", "usedStorage", "xetEnabled"),
)
_OF_TYPE = {
    "model": (
        *("baseModels", "childrenModelCount", "config", "downloads", "downloadsAllTime", "evalResults", "gated"),
        *("gguf", "inference", "inferenceProviderMapping", "library_name", "mask_token", "model-index"),
        *("pipeline_tag", "safetensors", "spaces", "transformersInfo", "widgetData"),
    ),
    "dataset": (
        *("citation", "description", "downloads", "downloadsAllTime", "gated", "mainSize", "paperswithcode_id"),
    ),
    "space": ("datasets", "models", "region", "runtime", "sdk", "subdomain"),
}
LEGAL = {kind: tuple(sorted((*_COMMON, *names), key=str.lower)) for kind, names in _OF_TYPE.items()}
# what an answer has when nothing is named
DEFAULT = {
    "model": (
        *("author", "private", "gated", "disabled", "downloads", "likes", "pipeline_tag", "library_name", "tags"),
        *("lastModified", "createdAt", "sha", "cardData", "config", "model-index", "mask_token", "safetensors"),
        *("transformersInfo", "widgetData", "usedStorage", "trendingScore"),
    ),
    "dataset": (
        *("author", "private", "gated", "disabled", "downloads", "likes", "tags", "lastModified", "createdAt", "sha"),
        *("cardData", "description", "citation", "paperswithcode_id", "usedStorage", "trendingScore"),
    ),
    "space": (
        *("author", "private", "disabled", "likes", "tags", "lastModified", "createdAt", "sha", "cardData", "sdk"),
        *("subdomain", "models", "datasets", "usedStorage", "trendingScore"),
    ),
}

Facts = dict[str, Any]


def check_expand(type: str, names: Iterable[str]) -> None:
    """Raises InvalidRequest for a property that repositories of this type have not; the message lists those there
    are, as clients' tests want it."""
    legal = LEGAL[type]
    for name in names:
        if name not in legal:
            known = "|".join(f'"{item}"' for item in legal)
            raise InvalidRequest(f"Invalid option for `expand`: {name[:50]!r}: expected one of {known}")


def describe_row(row: "Row[Any]", fields: Iterable[str]) -> Facts:
    """`_id`, `id` and the named properties of a row of `repositories`; what it has not is left out.

    Properties that need more than the row (siblings, spaces, …) are `describing.fill`'s.
    """
    answer: Facts = {"_id": f"{row.id:024x}", "id": row.name}
    for name in fields:
        reader = READERS.get(name)
        value = reader(row) if reader is not None else None
        if value is not None:
            answer[name] = value
    return answer


def _card(row: "Row[Any]") -> Facts:
    return row.card if isinstance(row.card, dict) else {}


def _contents(row: "Row[Any]") -> tags.Contents:
    return tags.Contents(_card(row), "", row.config or {}, [])


def _transformers_info(row: "Row[Any]") -> Facts | None:
    contents = _contents(row)
    if not contents.architectures or row.library_name not in (None, "transformers"):
        return None
    auto_model, processor = auto_model_of(row.pipeline_tag or "", contents.architectures)
    info = {"auto_model": auto_model}
    classes = contents.config.get("auto_map")
    custom = classes.get(auto_model) if isinstance(classes, dict) else None
    if isinstance(custom, str):
        info["custom_class"] = custom
    if row.pipeline_tag:
        info["pipeline_tag"] = row.pipeline_tag
    if processor:
        info["processor"] = processor
    return info


def _mask_token(row: "Row[Any]") -> str | None:
    token = (_contents(row).config.get("tokenizer_config") or {}).get("mask_token")
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _base_models(row: "Row[Any]") -> Facts | None:
    """The models it was made from, and how: what its tags say."""
    named = [tag.split(":", 2) for tag in row.tags or () if isinstance(tag, str) and tag.startswith("base_model:")]
    relations = [(parts[1], parts[2]) for parts in named if len(parts) == 3]
    if not relations:
        return None
    return {"relation": relations[0][0], "models": [{"id": name} for _, name in relations]}


def _card_value(key: str) -> Callable[["Row[Any]"], Any]:
    return lambda row: _card(row).get(key)


def _card_list(key: str) -> Callable[["Row[Any]"], Any]:
    return lambda row: texts(_card(row).get(key, []))


READERS: dict[str, Callable[["Row[Any]"], Any]] = {
    "author": lambda row: row.name.partition("/")[0],
    "baseModels": _base_models,
    "cardData": _card,
    "citation": _card_value("citation"),
    "config": lambda row: row.config or None,
    "createdAt": lambda row: iso(row.created_at),
    "datasets": _card_list("datasets"),
    "description": _card_value("description"),
    "disabled": lambda row: row.disabled,
    "downloads": lambda row: row.downloads,
    "downloadsAllTime": lambda row: row.downloads_all_time,
    "gated": lambda row: row.gated or False,
    "lastModified": lambda row: iso(row.modified_at),
    "library_name": lambda row: row.library_name,
    "likes": lambda row: row.likes,
    "mask_token": _mask_token,
    "model-index": _card_value("model-index"),
    "models": _card_list("models"),
    "paperswithcode_id": _card_value("paperswithcode_id"),
    "pipeline_tag": lambda row: row.pipeline_tag,
    "private": lambda row: row.private,
    "region": lambda row: tags.REGION.partition(":")[2],
    "safetensors": lambda row: row.safetensors,
    "sdk": lambda row: row.sdk,
    "sha": lambda row: row.head,
    "subdomain": lambda row: row.key.replace("/", "-").replace("_", "-").replace(".", "-"),
    "tags": lambda row: row.tags,
    "transformersInfo": _transformers_info,
    "trendingScore": lambda row: round(row.trending),
    "usedStorage": lambda row: row.used_storage,
    "widgetData": _card_value("widget"),
}
