"""The tags of a repository: what its card says and what its files are, in the words that searches use."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from madang.server.repositories.pipelines import PIPELINES, pipeline_of
from madang.server.repositories.values import text, texts

MOST_TAGS = 2000
REGION = "region:us"  # clients' lists know no other word for "at home"

# how files are called, from their beginning and at their end, by which the formats of weights are known
_WEIGHTS = (
    ("pytorch", "pytorch_model", (".bin",)),
    ("pytorch", "", (".pt", ".pth")),
    ("tf", "tf_model", (".h5",)),
    ("jax", "flax_model", (".msgpack",)),
    ("rust", "rust_model.ot", (".ot",)),
    ("coreml", "", (".mlmodel", ".mlpackage")),
    ("onnx", "", (".onnx",)),
    ("openvino", "openvino_model", (".xml",)),
    ("tensorboard", "events.out.tfevents.", ("",)),
    ("tflite", "", (".tflite",)),
    ("safetensors", "", (".safetensors",)),
    ("gguf", "", (".gguf",)),
)
# a file at the top by which a library is known
_LIBRARIES = (
    ("adapter_config.json", "peft"),
    ("model_index.json", "diffusers"),
    ("modules.json", "sentence-transformers"),
)
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})|\barxiv:\s?(\d{4}\.\d{4,5})", re.IGNORECASE)

_FORMATS = {
    **dict.fromkeys(["parquet"], "parquet"),
    **dict.fromkeys(["csv", "tsv"], "csv"),
    **dict.fromkeys(["json", "jsonl", "ndjson"], "json"),
    **dict.fromkeys(["txt"], "text"),
    **dict.fromkeys(["arrow"], "arrow"),
    **dict.fromkeys(["tar"], "webdataset"),
    **dict.fromkeys(["lance"], "lance"),
}
_MODALITIES = {
    "image": {"png", "jpg", "jpeg", "gif", "webp", "bmp", "tiff", "tif"},
    "audio": {"wav", "mp3", "flac", "ogg", "m4a", "aac", "opus"},
    "video": {"mp4", "avi", "mov", "mkv", "webm"},
    "document": {"pdf"},
    "3d": {"glb", "ply", "obj", "stl", "gltf"},
    "geospatial": {"shp", "geojson", "gpkg", "kml"},
    "text": {"txt", "json", "jsonl", "ndjson", "csv", "tsv"},
}
_FOLDERS = {"image": "imagefolder", "audio": "audiofolder", "video": "videofolder", "document": "pdffolder"}
_READERS = {
    **dict.fromkeys(["parquet", "csv", "json"], ("datasets", "pandas", "polars", "mlcroissant")),
    **dict.fromkeys(["text", "arrow", "imagefolder", "audiofolder", "videofolder"], ("datasets", "mlcroissant")),
    "webdataset": ("datasets", "webdataset", "mlcroissant"),
    "lance": ("datasets", "lance"),
}
_DATASET_KEYS = (
    *("task_categories", "task_ids", "annotations_creators", "language_creators", "multilinguality"),
    *("source_datasets", "language", "license", "size_categories"),
)


@dataclass
class Contents:
    """What is known of the files of a commit."""

    card: dict[str, Any] = field(default_factory=dict)
    readme: str = ""
    config: dict[str, Any] = field(default_factory=dict)  # what was kept of config.json
    files: list[str] = field(default_factory=list)

    @property
    def architectures(self) -> list[str]:
        return texts(self.config.get("architectures", []), most=8)

    @property
    def model_type(self) -> str | None:
        return text(self.config.get("model_type"))


def library_of(contents: Contents) -> str | None:
    """What the card says, else what a file at the top tells. `config.json` alone tells nothing: many write one."""
    said = text(contents.card.get("library_name"))
    if said is not None:
        return said
    top = set(contents.files)
    return next((library for file, library in _LIBRARIES if file in top), None)


def task_of(contents: Contents, library: str | None) -> str | None:
    """What the card says, directly or by a tag; for transformers models else what their class is for."""
    said = text(contents.card.get("pipeline_tag"))
    if said is not None:
        return said
    tagged = next((tag for tag in texts(contents.card.get("tags", [])) if tag in PIPELINES), None)
    if tagged is not None:
        return tagged
    if library == "sentence-transformers":
        return "sentence-similarity"
    if library in (None, "transformers"):
        return pipeline_of(contents.architectures, contents.model_type or "")
    return None


def model_tags(contents: Contents, library: str | None, task: str | None) -> list[str]:
    """Library, formats, model type, task, the card's tags, languages, datasets, papers, base models, licence."""
    card = contents.card
    found = [library] if library else []
    names = set(_names(contents.files))
    for tag, start, ends in _WEIGHTS:
        if any(name.startswith(start) and name.endswith(ends) for name in names):
            found.append(tag)
    found += [tag for tag in (contents.model_type, task) if tag]
    found += texts(card.get("tags", []))
    if (contents.config.get("tokenizer_config") or {}).get("chat_template") or "chat_template.jinja" in contents.files:
        found.append("conversational")
    if contents.config.get("auto_map"):
        found.append("custom_code")
    found += texts(card.get("language", []))
    found += [f"dataset:{name}" for name in texts(card.get("datasets", []))]
    found += papers(contents.readme)
    found += _base_model_tags(contents, library)
    found += [f"license:{name.lower()}" for name in texts(card.get("license", []))]
    if card.get("model-index"):
        found.append("model-index")
    return _each_once([*found, REGION])


def _names(files: Iterable[str]) -> Iterator[str]:
    """What files are called, without their folders; of a Core ML package, which is a folder, its name."""
    for path in files:
        yield path.rpartition("/")[2]
        package, found, _ = path.partition(".mlpackage/")
        if found:
            yield package.rpartition("/")[2] + ".mlpackage"


def base_models(contents: Contents) -> list[str]:
    """The models this one was made from."""
    return texts(contents.card.get("base_model", []), most=50)


def relation_of(contents: Contents, library: str | None) -> str:
    """What was done to the base model: finetune, adapter, merge or quantized."""
    said = text(contents.card.get("base_model_relation"))
    if said in ("finetune", "adapter", "merge", "quantized"):
        return str(said)
    if library == "peft" or "adapter_config.json" in contents.files:
        return "adapter"
    if contents.config.get("quantization_config") or any(path.endswith(".gguf") for path in contents.files):
        return "quantized"
    return "merge" if len(base_models(contents)) > 1 or "merge" in texts(contents.card.get("tags", [])) else "finetune"


def _base_model_tags(contents: Contents, library: str | None) -> list[str]:
    names = base_models(contents)
    relation = relation_of(contents, library)
    return [*(f"base_model:{name}" for name in names), *(f"base_model:{relation}:{name}" for name in names)]


def dataset_tags(contents: Contents) -> list[str]:
    """The keys of the card with their names, the formats and modalities of the files, the card's own tags."""
    card = contents.card
    found = [f"{key}:{value}" for key in _DATASET_KEYS for value in texts(card.get(key, []))]
    found = [tag.lower() if tag.startswith("license:") else tag for tag in found]
    endings = {path.rpartition(".")[2].lower() for path in contents.files if "." in path.rpartition("/")[2]}
    modalities = modalities_of(card, endings)
    formats = list(dict.fromkeys(_FORMATS[ending] for ending in _FORMATS if ending in endings))
    if not formats:
        formats = [_FOLDERS[kind] for kind in modalities if kind in _FOLDERS][:1]
    found += [f"format:{name}" for name in formats]
    found += [f"modality:{kind}" for kind in modalities]
    found += [f"library:{name}" for kind in formats for name in _READERS.get(kind, ())]
    found += papers(contents.readme)
    return _each_once([*found, *texts(card.get("tags", [])), REGION])


def modalities_of(card: dict[str, Any], endings: set[str]) -> list[str]:
    """What the rows hold: by the features the card lists, else by the files."""
    listed = _features(card.get("dataset_info"))
    kinds = {"string": "text", "large_string": "text", "image": "image", "audio": "audio", "video": "video"}
    found = {kinds[kind] for kind in listed if kind in kinds}
    if any(re.fullmatch(r"u?int\d+|float\d+|decimal.*", kind) for kind in listed):
        found.add("tabular")
    for kind, suffixes in _MODALITIES.items():
        if endings & suffixes and not (kind == "text" and listed):
            found.add(kind)
    return sorted(found)


def _features(info: Any) -> set[str]:
    """The types of the columns in `dataset_info`, which is one description or a list of them."""
    found = set()
    for description in (info if isinstance(info, list) else [info])[:100]:
        features = description.get("features") if isinstance(description, dict) else None
        for feature in features[:200] if isinstance(features, list) else ():
            kind = feature.get("dtype") if isinstance(feature, dict) else None
            if isinstance(kind, str):
                found.add(kind)
    return found


def space_tags(contents: Contents, sdk: str | None) -> list[str]:
    """The kit it is built with, and the card's tags."""
    return _each_once([*([sdk] if sdk else []), *texts(contents.card.get("tags", [])), REGION])


def papers(readme: str) -> list[str]:
    """The arXiv papers a card links to."""
    return [f"arxiv:{found[1] or found[2]}" for found in _ARXIV.finditer(readme)]


def _each_once(tags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tags))[:MOST_TAGS]
