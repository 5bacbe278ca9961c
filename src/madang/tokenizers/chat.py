"""Conversations written the way a model was trained to read them, by the Jinja template its repository brings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from madang.errors import ConfigError, InputError
from madang.tokenizers.padding import tensor_type, to_tensor

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

Templates = str | dict[str, str] | None


def read_template(value: Any) -> Templates:
    """A template as files hold it: a str, a list of {"name", "template"}, or a dict of name -> template."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {str(name): str(template) for name, template in value.items()}
    try:
        return {str(item["name"]): str(item["template"]) for item in value}
    except (TypeError, KeyError) as error:
        raise ConfigError("chat_template has to be a str or a list of {'name': …, 'template': …}.") from error


def choose(known: Templates, asked: str | None, tools: Any) -> str:
    """The template to use: `asked` (a template, or a name among several), else "tool_use" for tools, else the default.

    Raises InputError when there is none.
    """
    if isinstance(known, dict) and asked in known:
        return known[asked]
    if asked is not None:
        return asked
    if isinstance(known, dict):
        name = "tool_use" if tools is not None and "tool_use" in known else "default"
        if name in known:
            return known[name]
        raise InputError(
            f"there are several chat templates and none is the default; pass chat_template= one of {sorted(known)}."
        )
    if known is None:
        raise InputError(
            "this tokenizer has no chat template. Set one with tokenizer.chat_template = '…' or pass chat_template=; "
            "a model that was not trained on conversations needs none: write the text yourself."
        )
    return known


def apply(
    tokenizer: "PreTrainedTokenizerFast",
    conversation: Any,
    tools: Sequence[Any] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    chat_template: str | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    tokenize: bool = True,
    padding: Any = False,
    truncation: Any = False,
    max_length: int | None = None,
    return_tensors: Any = None,
    return_dict: bool = False,
    return_assistant_tokens_mask: bool = False,
    tokenizer_kwargs: Mapping[str, Any] | None = None,
    **values: Any,
) -> Any:
    """See `PreTrainedTokenizerFast.apply_chat_template`."""
    from madang.tokenizers.sandbox import compiled

    if add_generation_prompt and continue_final_message:
        raise InputError(
            "add_generation_prompt begins a new message, continue_final_message keeps the last one open; choose one."
        )
    if (return_dict or return_assistant_tokens_mask) and not tokenize:
        raise InputError("return_dict=True needs tokenize=True: a text has no columns.")
    template = compiled(choose(tokenizer.chat_template, chat_template, tools))
    conversations, single = _conversations(conversation)
    values = {
        **tokenizer.special_tokens_map,
        "tools": _tools(tools),
        "documents": documents,
        "add_generation_prompt": add_generation_prompt,
        **values,
    }
    rendered = [template.render(messages, values, marks=return_assistant_tokens_mask) for messages in conversations]
    texts = [text for text, _ in rendered]
    if continue_final_message:
        texts = [_left_open(text, messages) for text, messages in zip(texts, conversations, strict=True)]
    if not tokenize:
        return texts[0] if single else texts
    batch = tokenizer(
        texts[0] if single else texts,
        add_special_tokens=False,
        padding=padding,
        truncation=truncation,
        max_length=max_length,
        return_tensors=return_tensors,
        **(tokenizer_kwargs or {}),
    )
    if return_assistant_tokens_mask:
        masks = [
            _inside(encoding.offsets, spans)
            for encoding, (_, spans) in zip(batch.encodings or [], rendered, strict=True)
        ]
        kind = tensor_type(return_tensors)
        if kind is not None:
            batch["assistant_masks"] = to_tensor(masks, kind, "assistant_masks")
        else:
            batch["assistant_masks"] = masks[0] if single else masks
    return batch if return_dict or return_assistant_tokens_mask else batch["input_ids"]


def _inside(offsets: list[tuple[int, int]], spans: list[tuple[int, int]]) -> list[int]:
    """1 for the tokens that came from one of these stretches of characters."""
    return [int(any(start < last and first < end for first, last in spans)) for start, end in offsets]


def _conversations(conversation: Any) -> tuple[list[list[Any]], bool]:
    """A list of conversations, and whether there was just one."""
    conversation = getattr(conversation, "messages", conversation)
    if isinstance(conversation, (str, Mapping)) or not hasattr(conversation, "__iter__"):
        found = type(conversation).__name__
        raise InputError(f"a conversation is a list of {{'role': …, 'content': …}}; found one {found}.")
    items = list(conversation)
    many = bool(items) and not isinstance(items[0], Mapping)
    conversations = [list(getattr(item, "messages", item)) for item in items] if many else [items]
    for messages in conversations:
        for index, message in enumerate(messages):
            if not isinstance(message, Mapping) or "role" not in message:
                raise InputError(f"message {index} is {message!r}; expected a dict with 'role' and 'content'.")
    return conversations, not many


def _left_open(text: str, messages: list[Any]) -> str:
    """`text` up to the end of what the last message says, whatever the template puts after it."""
    content = messages[-1].get("content") if messages else None
    if isinstance(content, (list, tuple)):
        content = next((part["text"] for part in reversed(content) if part.get("type") == "text"), None)
    if not isinstance(content, str) or not content.strip():
        raise InputError("continue_final_message needs a last message with text to continue.")
    start = text.rfind(content.strip())
    if start < 0:
        raise InputError(
            "continue_final_message: the chat template changes the last message, so its end cannot be found."
        )
    end = start + len(content.strip())
    blanks = content.lstrip()[len(content.strip()) :]
    # templates often strip messages; blanks at the end count only when they were written
    return text[: end + len(blanks)] if text.startswith(blanks, end) else text[:end]


def _tools(tools: Sequence[Any] | None) -> list[Any] | None:
    if tools is None:
        return None
    from madang.tokenizers.tools import schema

    return [tool if isinstance(tool, Mapping) else schema(tool) for tool in tools]
