"""config.json: the numbers a model is built from, under the names people know."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from madang.client import Source, open_source, push_saved
from madang.errors import CheckpointError, ConfigError, nearest
from madang.writing import write_text

CONFIG_NAME = "config.json"


class Config:
    """What every family's config has. A family adds its own numbers as annotated class attributes, with their defaults.

    `spellings` maps a general name to the one this family publishes (`hidden_size` -> `n_embd`); both can be read, set
    and given. `possible` lists the values of a key that this library can follow; any other is an error naming the key.
    Keys nobody knows are kept in `other`, readable, and saved again.
    """

    model_type: ClassVar[str] = ""
    spellings: ClassVar[Mapping[str, str]] = {}
    possible: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    defaults: ClassVar[dict[str, Any]] = {}

    architectures: list[str] | None = None
    id2label: dict[int, str] | None = None
    label2id: dict[str, int] | None = None
    problem_type: str | None = None
    dtype: str | None = None
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = False
    output_hidden_states: bool = False
    output_attentions: bool = False
    return_dict: bool = True
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        _collect_defaults(cls)

    def __init__(self, **values: Any) -> None:
        self.given = frozenset(values)
        self.name_or_path: str = values.pop("_name_or_path", None) or ""
        self.other: dict[str, Any] = {}
        labels = _labels(values)
        for name, value in type(self).defaults.items():
            object.__setattr__(self, name, copy.deepcopy(value))
        for key, value in self.translate(values).items():
            name = type(self).spellings.get(key, key)
            if name in type(self).defaults:
                object.__setattr__(self, name, copy.deepcopy(value))
            elif name not in _NOT_KEPT:
                self.other[name] = copy.deepcopy(value)
        self._set_labels(labels or {0: "LABEL_0", 1: "LABEL_1"})
        self.check()

    # making one ------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **overrides: Any) -> Self:
        """A config from the content of a config.json; `overrides` win over it."""
        overrides = {cls.spellings.get(key, key): value for key, value in overrides.items()}
        if "id2label" in overrides or "label2id" in overrides:
            values = {key: value for key, value in values.items() if key not in ("id2label", "label2id", "num_labels")}
        # the file's spellings are settled first, so that an override in another spelling still wins
        return cls(**{**cls.translate(dict(values)), **overrides})

    @classmethod
    def translate(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Old and new spellings of one fact made one; families with more of them add theirs."""
        values = dict(values)
        if (old := values.pop("torch_dtype", None)) is not None and values.get("dtype") is None:
            values["dtype"] = old
        if "use_return_dict" in values:
            values["return_dict"] = values.pop("use_return_dict")
        if values.get("dtype") is not None:
            values["dtype"] = str(values["dtype"]).removeprefix("torch.")
        return values

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str], **options: Any) -> Self:
        """The config of a saved model: a folder, or a repository on a hub."""
        where = {key: options.pop(key) for key in SOURCE_OPTIONS if key in options}
        source = open_source(name_or_path, **where)
        return cls.from_dict(read_config(source), **{"_name_or_path": os.fspath(name_or_path), **options})

    # reading and changing --------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        spelled = type(self).spellings.get(name)
        if spelled is not None:
            return getattr(self, spelled)
        other = self.__dict__.get("other", {})
        if name in other:
            return other[name]
        known = [*self.__dict__, *type(self).spellings]
        raise AttributeError(f"{type(self).__name__} has no {name!r}.{nearest(name, known)}")

    def __setattr__(self, name: str, value: Any) -> None:
        name = type(self).spellings.get(name, name)
        if name == "id2label" and value is not None:
            self._set_labels(value)
        elif name == "torch_dtype":
            self.__dict__["dtype"] = None if value is None else str(value).removeprefix("torch.")
        elif name == "num_labels":
            self._set_labels({index: f"LABEL_{index}" for index in range(value)})
        else:
            object.__setattr__(self, name, value)

    @property
    def num_labels(self) -> int:
        """How many classes there are: the length of id2label."""
        return len(self.id2label or ())

    @property
    def torch_dtype(self) -> str | None:
        """The older name of `dtype`."""
        return self.dtype

    @property
    def use_return_dict(self) -> bool:
        """The older name of `return_dict`."""
        return self.return_dict

    def _set_labels(self, labels: Mapping[Any, str]) -> None:
        names = {int(index): str(name) for index, name in labels.items()}
        self.__dict__["id2label"] = names
        self.__dict__["label2id"] = {name: index for index, name in names.items()}

    def check(self) -> None:
        """Refuse what cannot be followed: a key with such a value would otherwise change numbers in silence."""
        for key, values in {**COMMONLY_POSSIBLE, **type(self).possible}.items():
            try:
                found = getattr(self, key)
            except AttributeError:
                continue
            if found not in values:
                listed = " or ".join(repr(value) for value in values)
                raise ConfigError(
                    f"{CONFIG_NAME} says {key}={found!r}; for {self.model_type} models only {listed} is supported."
                )

    # writing ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All keys as they are saved: published names, and both spellings where releases of other libraries differ."""
        values = {name: copy.deepcopy(getattr(self, name)) for name in type(self).defaults}
        values = {**values, **copy.deepcopy(self.other), "model_type": self.model_type}
        values["torch_dtype"] = values["dtype"]
        if not {"id2label", "label2id", "num_labels"} & self.given and values["id2label"] == {
            0: "LABEL_0",
            1: "LABEL_1",
        }:
            values.pop("id2label"), values.pop("label2id")
        return self.published({key: value for key, value in values.items() if value is not None or key in self.given})

    def published(self, values: dict[str, Any]) -> dict[str, Any]:
        """Last changes before `values` are saved; families whose keys were renamed write both spellings."""
        return values

    def to_json_string(self) -> str:
        """config.json as text, keys sorted."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json into `folder`."""
        write_text(Path(folder) / CONFIG_NAME, self.to_json_string())

    def push_to_hub(self, repo_id: str, *, commit_message: str = "Upload config", **options: Any) -> str:
        """Write config.json into the repository `repo_id`; returns the commit's address."""
        return push_saved(self.save_pretrained, repo_id, commit_message=commit_message, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string().rstrip()}"


def _collect_defaults(cls: type[Config]) -> None:
    """Note the annotated attributes of a config class, with those of its parents, as its keys and their defaults."""
    own = {name for name, kind in inspect.get_annotations(cls).items() if "ClassVar" not in str(kind)}
    inherited = getattr(cls.__base__, "defaults", {})
    cls.defaults = {**inherited, **{name: value for name, value in cls.__dict__.items() if name in own}}


_collect_defaults(Config)
_NOT_KEPT = ("model_type", "num_labels", "transformers_version")
SOURCE_OPTIONS = ("revision", "subfolder", "token", "use_auth_token", "cache_dir", "local_files_only")

# keys that any config.json may hold and that would change numbers or shapes
COMMONLY_POSSIBLE: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "tie_encoder_decoder": (False,),
    "torchscript": (False,),
    "pruned_heads": ({}, None),
    "cross_attention_hidden_size": (None,),
    "quantization_config": (None,),
}


def _labels(values: dict[str, Any]) -> dict[int, str] | None:
    """Take id2label, label2id and num_labels out of `values` and make one of them; None when none is there."""
    names, ids, number = values.get("id2label"), values.get("label2id"), values.get("num_labels")
    if names is None and ids is not None:
        names = {index: name for name, index in ids.items()}
    if isinstance(names, (list, tuple)):
        names = dict(enumerate(names))
    if names is not None:
        found = {int(index): str(name) for index, name in names.items()}
        if number is None or len(found) == number:
            return found
    return None if number is None else {index: f"LABEL_{index}" for index in range(number)}


def read_config(source: Source) -> dict[str, Any]:
    """The content of config.json; a file that is no JSON object is an error naming it."""
    return read_json(source.require(CONFIG_NAME))


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file at `path`; anything else there is an error naming it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not readable as JSON ({error}). Download or save it again.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a JSON {type(values).__name__}; an object with keys is expected.")
    return values
