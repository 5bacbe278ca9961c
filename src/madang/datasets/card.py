"""The card of a dataset (README.md): the YAML at its beginning, and what it says of subsets and their files."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from madang.datasets.splits import NAME
from madang.errors import InputError

YAML_ALONE = ".huggingface.yaml"
_FRONT = re.compile(r"\A(?:\ufeff)?---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# what a subset is made of: options of its reader, `data_files`, `data_dir`, `features`, `default`, …
Subset = dict[str, Any]


def split_card(text: str) -> tuple[dict[str, Any], str]:
    """The YAML between the first two lines of `---`, and the text after it.

    Raises InputError when there is YAML that is none, or that is no mapping.
    """
    match = _FRONT.match(text)
    if match is None:
        return {}, text
    return read_yaml(match["yaml"]), text[match.end() :]


def join_card(metadata: Mapping[str, Any], body: str) -> str:
    """A card of this YAML and text; the keys stay in their order."""
    import yaml

    if not metadata:
        return body
    written = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{written}---\n{body}"


def read_yaml(text: str) -> dict[str, Any]:
    """The mapping that YAML holds; no objects are made but texts, numbers, lists and mappings."""
    import yaml

    try:
        # the one in C is ten times quicker, and says of subsets may be long
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"the YAML at the beginning of the dataset's card cannot be read: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"the YAML of the dataset's card should be a mapping, but is {type(found).__name__}.")
    return found


def subsets(metadata: Mapping[str, Any]) -> dict[str, Subset]:
    """The subsets that `configs` names, with what each is made of.

    Raises InputError for entries that are not as they should be.
    """
    from madang.datasets.features import Features

    configs = metadata.get("configs")
    if not configs:
        return {}
    if not isinstance(configs, list):
        raise InputError(f"Expected configs to be a list, but got {configs!r} in the dataset's card.")
    if all(isinstance(entry, str) for entry in configs):
        return {}  # names alone, as cards of scripts had them
    found: dict[str, Subset] = {}
    for entry in configs:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("config_name"), (str, int, float)):
            raise InputError(
                f"Each config must include `config_name` field with a string name of a config, but got {entry!r}."
            )
        subset = {str(key): value for key, value in entry.items() if key != "config_name"}
        if subset.get("data_files") is not None:
            _check_files(subset["data_files"])
        if subset.get("features") is not None:
            subset["features"] = Features._from_yaml_list(subset["features"])
        found[str(entry["config_name"])] = subset
    return found


def default_subset(known: Mapping[str, Subset]) -> str | None:
    """The subset that is meant when none is named: the only one, one called `default`, or one marked as default."""
    marked = [name for name, one in known.items() if len(known) == 1 or name == "default" or one.get("default")]
    if len(marked) > 1:
        raise InputError(f"Dataset has several default configs: {marked[0]!r} and {marked[1]!r}.")
    return marked[0] if marked else None


def _check_files(given: Any) -> None:
    def paths(value: Any) -> bool:
        return isinstance(value, str) or (isinstance(value, Sequence) and all(isinstance(path, str) for path in value))

    if paths(given):
        return
    for entry in given if isinstance(given, list) else [given]:
        fits = isinstance(entry, Mapping) and set(entry) == {"split", "path"} and paths(entry["path"])
        if not fits or not NAME.fullmatch(str(entry["split"])):
            raise InputError(
                "Expected data_files in YAML to be either a string or a list of strings or a list of dicts with two "
                f"keys: 'split' and 'path' (a split's name has letters, digits, '_' and '.'), but got {given!r}."
            )
