"""Chat templates are somebody else's programs: they run where they cannot reach Python's insides or change anything."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from madang.errors import ConfigError, InputError

# the value a template gets under this name is put around what its generation blocks write
MARK = "_madang_answer_mark"

TAGS = {"generation"}


class Generation(Extension):
    """`{% generation %} … {% endgeneration %}`: what the model is to learn, found again in the text by marks."""

    tags = TAGS

    def parse(self, parser: Parser) -> nodes.Node:
        """Read one block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked", [nodes.ContextReference()]), [], [], body).set_lineno(line)

    def _marked(self, context: Context, caller: Callable[[], str]) -> str:
        mark = context.get(MARK) or ""
        return f"{mark}{caller()}{mark}"


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    made.globals["strftime_now"] = _now
    return made


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    # jinja2's own escapes letters and HTML; a prompt is neither
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, source: str) -> None:
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise ConfigError(f"the chat template is not valid Jinja: {error}") from error

    def render(
        self, messages: list[Any], values: Mapping[str, Any], *, marks: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text of one conversation and, with `marks`, where its generation blocks begin and end.

        Raises InputError with the template's own words when it refuses the conversation.
        """
        mark = f"\0{uuid.uuid4().hex}\0" if marks else ""
        try:
            text = self._template.render({**values, "messages": messages, MARK: mark})
        except Exception as error:  # whatever somebody else's program does wrong
            raise InputError(f"the chat template refused this conversation: {error}") from error
        if not marks:
            return text, []
        parts = re.split(re.escape(mark), text)
        if len(parts) == 1:
            raise InputError(
                "return_assistant_tokens_mask needs a chat template with {% generation %} blocks; this one has none."
            )
        spans, end = [], 0
        for number, part in enumerate(parts):
            if number % 2:
                spans.append((end, end + len(part)))
            end += len(part)
        return "".join(parts), spans


@lru_cache(maxsize=16)
def compiled(source: str) -> ChatTemplate:
    """The template of this source, compiled once."""
    return ChatTemplate(source)
