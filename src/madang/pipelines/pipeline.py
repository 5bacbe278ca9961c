"""pipeline(): from a task and the name of a model to a function that answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from madang.errors import InputError, unknown_name


@dataclass(frozen=True)
class Place:
    """Where a task's class is."""

    file: str
    name: str

    @property
    def module(self) -> str:
        """The module that defines it."""
        return f"madang.pipelines.{self.file}"


TASKS = {
    "feature-extraction": Place("feature_extraction", "FeatureExtractionPipeline"),
    "fill-mask": Place("fill_mask", "FillMaskPipeline"),
    "question-answering": Place("question_answering", "QuestionAnsweringPipeline"),
    "text-classification": Place("text_classification", "TextClassificationPipeline"),
    "text-generation": Place("text_generation", "TextGenerationPipeline"),
    "token-classification": Place("token_classification", "TokenClassificationPipeline"),
}
OTHER_NAMES = {"sentiment-analysis": "text-classification", "ner": "token-classification"}

# what the end of a name in config.json's `architectures` says about the task
ENDINGS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "Model": "feature-extraction",
}


def pipeline(
    task: str | None = None,
    model: Any = None,
    config: Any = None,
    tokenizer: Any = None,
    feature_extractor: Any = None,
    image_processor: Any = None,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Any = None,
    device_map: Any = None,
    dtype: Any = None,
    torch_dtype: Any = None,
    model_kwargs: dict[str, Any] | None = None,
    pipeline_class: Any = None,
    trust_remote_code: bool | None = None,
    use_auth_token: str | bool | None = None,
    num_workers: int | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Any:
    """A function that does `task` with `model`: texts in, answers out.

    Tasks: text-classification (or sentiment-analysis), token-classification (or ner), question-answering, fill-mask,
    feature-extraction, text-generation. Without a task the model's config says which one it was made for.

    `model`: a folder, a repository ("owner/name") or a loaded model. `tokenizer`: the same; by default the model's
    own. `device`: -1 or "cpu", a GPU's number, or a torch device; by default a GPU if there is one, and for a loaded
    model the device it is on. `batch_size`: texts per forward pass; by default as many as make a good load. All
    further arguments are options of the task and hold for every call. `framework`, `use_fast`, `num_workers` and
    `trust_remote_code` change nothing: there is one framework, one kind of tokenizer, batches are made in this process,
    and code from a repository is never run.

    A head whose weights are new (not in the file) answers at random; that brings an UntrainedWarning naming them.

    Example:
        >>> classify = pipeline("text-classification", model="outputs/quickstart/model")
        >>> classify(["기준금리 동결", "연장전 끝내기 홈런"])
        [{'label': '경제', 'score': 0.98}, {'label': '스포츠', 'score': 0.99}]
    """
    _refuse(
        feature_extractor=feature_extractor,
        image_processor=image_processor,
        pipeline_class=pipeline_class,
    )
    if framework not in (None, "pt"):
        raise InputError(f"framework={framework!r}: models run on PyTorch only; leave it out or pass 'pt'.")
    wanted = None if task is None else known_task(task)
    if model is None:
        named = f"pipeline({task!r}, model=…)" if task is not None else "pipeline(task, model=…)"
        raise InputError(f"no model was named. Say which one to use: {named}, a folder or 'owner/name'.")
    if task is not None and isinstance(model, type):
        raise InputError(f"model={model.__name__} is a class; pass a loaded model, a folder or 'owner/name'.")

    from madang.pipelines.loading import load

    given_options = {
        "revision": revision,
        "token": token if token is not None else use_auth_token,
        "dtype": dtype if dtype is not None else torch_dtype,
        **(model_kwargs or {}),
    }
    if wanted is None:
        wanted = task_of(model, {key: value for key, value in given_options.items() if key in ("revision", "token")})
    made = getattr(import_module(TASKS[wanted].module), TASKS[wanted].name)
    device, device_map = (
        None if isinstance(value, str) and value == "auto" else value for value in (device, device_map)
    )
    if device_map is not None and device is not None:
        raise InputError("device and device_map both say where the model goes; pass device alone.")
    loaded, its_tokenizer = load(
        made,
        model,
        tokenizer,
        config=config,
        device=device if device is not None else device_map,
        options={key: value for key, value in given_options.items() if value is not None},
    )
    return made(loaded, its_tokenizer, batch_size=batch_size, **options)


def known_task(task: str) -> str:
    """The task's own name; one that is not known is an error naming the nearest."""
    name = OTHER_NAMES.get(str(task), str(task))
    if name not in TASKS:
        raise unknown_name("task", str(task), [*TASKS, *OTHER_NAMES])
    return name


def task_of(model: Any, where: dict[str, Any]) -> str:
    """The task that a loaded model, or the config of a saved one, was made for."""
    if isinstance(model, (str, os.PathLike)):
        from madang.auto import AutoConfig

        config = AutoConfig.from_pretrained(model, **{key: value for key, value in where.items() if value is not None})
        names = list(config.architectures or [])
        said = f"its config.json names {', '.join(names) if names else 'no architectures'}"
    else:
        names = [type(model).__name__]
        said = f"it is a {names[0]}"
    for ending, task in ENDINGS.items():
        if names and names[0].endswith(ending):
            return task
    raise InputError(f"the task cannot be told from the model: {said}. Name it: one of {', '.join(TASKS)}.")


def _refuse(**given: Any) -> None:
    reasons = {
        "feature_extractor": "the tasks there are take text only",
        "image_processor": "the tasks there are take text only",
        "pipeline_class": "call the class itself: TheClass(model, tokenizer)",
    }
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is not possible: {reasons[name]}.")
