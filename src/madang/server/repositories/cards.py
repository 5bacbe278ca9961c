"""Cards: the YAML at the top of a README.md, which says what a repository is, and what is wrong with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from madang.server.repositories.values import plain

LONGEST_FRONT_MATTER = 512 * 1024
# of all values, those that aliases repeat counted each time; and how deep they are nested
MOST_VALUES = 50_000
DEEPEST = 40
# YAML counts `1:30:00` to the base of 60: half a megabyte of that takes half a minute
LONGEST_NUMBER = 1000
_NUMBER = re.compile(r"[-+\d_:.\s]+")

LICENSES = (
    *("apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0"),
    *("bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause"),
    *("bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0"),
    *("etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1"),
    *("lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl", "apple-ascl", "apple-amlr"),
    *("mpl-2.0", "odc-by", "odbl", "openmdw-1.0", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa"),
    *("unlicense", "zlib", "pddl", "lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license"),
    *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "grok2-community"),
    *("unknown", "other"),
)
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


class UnreadableCard(ValueError):
    """Front matter that is no YAML, or more than the hub reads."""


@dataclass
class Findings:
    """What is wrong with a card, and what could be better."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def front_matter(text: str) -> dict[str, Any]:
    """What the front matter of a card says, in types that JSON has; {} when there is none or it cannot be read."""
    try:
        return read_front_matter(text) or {}
    except UnreadableCard:
        return {}


def read_front_matter(text: str) -> dict[str, Any] | None:
    """The same; None when there is none. Raises UnreadableCard, saying why."""
    source = front_matter_source(text)
    if source is None or not source.strip():
        return None
    found = read_yaml(source)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise UnreadableCard("the front matter must be keys and values, one `key: value` on each line")
    return found


def front_matter_source(text: str) -> str | None:
    """The lines between the first two of three dashes; None when a text does not begin with such."""
    text = text.removeprefix("\ufeff")
    first, newline, rest = text.partition("\n")
    if first.rstrip() != "---" or not newline:
        return None
    lines: list[str] = []
    for line in rest.split("\n"):
        if line.rstrip() == "---":
            return "\n".join(lines)
        lines.append(line)
    return None


def read_yaml(source: str) -> Any:
    """YAML as JSON has it. Raises UnreadableCard for text that is none, and for small text that means too much."""
    if len(source) > LONGEST_FRONT_MATTER:
        raise UnreadableCard(f"the front matter is longer than {LONGEST_FRONT_MATTER} characters")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(source, loader)
        return plain(yaml.load(source, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 2})" if mark is not None else ""
        raise UnreadableCard(f"the front matter is no YAML: {error.problem or error.context}{where}") from None
    # PyYAML fails in these ways too, at `!!timestamp x` and its like
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        ArithmeticError,
        RecursionError,
        AttributeError,
        LookupError,
    ) as error:
        if isinstance(error, UnreadableCard):
            raise
        raise UnreadableCard(
            f"the front matter is no YAML: {(str(error).splitlines() or [type(error).__name__])[0][:200]}"
        ) from None


def _check_size(source: str, loader: Any) -> None:
    """Raises UnreadableCard when the values, with everything that aliases repeat, are too many or nested too deep."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor and the count of values before it
    count = 0
    for event in yaml.parse(source, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise UnreadableCard(f"the alias *{event.anchor} names nothing, or what it stands in")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > LONGEST_NUMBER and _NUMBER.fullmatch(event.value):
                raise UnreadableCard(f"the front matter has a number of more than {LONGEST_NUMBER} digits")
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            if event.anchor is not None:
                sizes.pop(event.anchor, None)
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        if count > MOST_VALUES or len(open_nodes) > DEEPEST:
            raise UnreadableCard(f"the front matter has more than {MOST_VALUES} values, or {DEEPEST} levels")


# ------------------------------------------------------------------------------------------------ what keys may hold
Check = Callable[[Any], str | None]  # what is wrong with a value: "must be a string"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _yes_or_no(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be a boolean"


def _texts(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None
    return "must be an array of strings"


def _text_or_texts(value: Any) -> str | None:
    return None if isinstance(value, str) or _texts(value) is None else "must be a string or an array of strings"


def _objects(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return None
    return "must be an array of objects"


def _object_or_objects(value: Any) -> str | None:
    return None if isinstance(value, dict) or _objects(value) is None else "must be an object or an array of objects"


def _version(value: Any) -> str | None:
    return None if isinstance(value, str | int | float) and not isinstance(value, bool) else "must be a version"


def _port(value: Any) -> str | None:
    return None if type(value) is int and 0 < value < 65536 else "must be a port number"


def _emissions(value: Any) -> str | None:
    fits = isinstance(value, dict | int | float) and not isinstance(value, bool)
    return None if fits else "must be a number or an object"


def _one_of(*choices: str) -> Check:
    return lambda value: None if value in choices else f"must be one of [{', '.join(choices)}]"


def _license(value: Any) -> str | None:
    given = value if isinstance(value, list) else [value]
    return None if given and all(item in LICENSES for item in given) else _one_of(*LICENSES)("")


_EVERYWHERE: dict[str, Check] = {
    "license": _license,
    "license_name": _text,
    "license_link": _text,
    "language": _text_or_texts,
    "tags": _texts,
    "datasets": _text_or_texts,
    "thumbnail": _text,
}
_KNOWN: dict[str, dict[str, Check]] = {
    "model": {
        "library_name": _text,
        "pipeline_tag": _text,
        "metrics": _text_or_texts,
        "base_model": _text_or_texts,
        "base_model_relation": _one_of("finetune", "adapter", "merge", "quantized"),
        "new_version": _text,
        "model-index": _objects,
        "co2_eq_emissions": _emissions,
        "extra_gated_prompt": _text,
    },
    "dataset": {
        "pretty_name": _text,
        "task_categories": _texts,
        "task_ids": _texts,
        "size_categories": _text_or_texts,
        "annotations_creators": _text_or_texts,
        "language_creators": _text_or_texts,
        "multilinguality": _text_or_texts,
        "source_datasets": _text_or_texts,
        "configs": _objects,
        "dataset_info": _object_or_objects,
        "extra_gated_prompt": _text,
    },
    "space": {
        "title": _text,
        "emoji": _text,
        "colorFrom": _one_of(*COLOURS),
        "colorTo": _one_of(*COLOURS),
        "sdk": _one_of("gradio", "docker", "static", "streamlit"),
        "sdk_version": _version,
        "python_version": _version,
        "app_file": _text,
        "app_port": _port,
        "pinned": _yes_or_no,
        "models": _texts,
        "short_description": _text,
    },
}


def check_card(text: str, type: str) -> Findings:
    """What is wrong with the card of a model, a dataset or a Space."""
    findings = Findings()
    try:
        card = read_front_matter(text)
    except UnreadableCard as error:
        findings.errors.append(str(error))
        return findings
    if not card:
        findings.warnings.append("empty or missing yaml metadata in repo card")
        return findings
    for key, check in {**_EVERYWHERE, **_KNOWN[type]}.items():
        # a key without a value says nothing: templates have many of them
        wrong = check(card[key]) if card.get(key) is not None else None
        if wrong is not None:
            findings.errors.append(f'"{key}" {wrong}')
    if not findings.errors:
        _check_parts(card, findings)
    return findings


def _check_parts(card: dict[str, Any], findings: Findings) -> None:
    """What is wrong within `model-index` and `configs`, and what is missing beside `license: other`."""
    for number, entry in enumerate(card.get("model-index") or []):
        for key, kind in (("name", str), ("results", list)):
            if not isinstance(entry.get(key), kind):
                findings.errors.append(f'"model-index[{number}].{key}" is required')
    for number, entry in enumerate(card.get("configs") or []):
        if not isinstance(entry.get("config_name"), str):
            findings.errors.append(f'"configs[{number}].config_name" is required')
    if card.get("license") == "other" and not card.get("license_name"):
        findings.warnings.append('"license_name" should say which one, as "license" is "other"')
