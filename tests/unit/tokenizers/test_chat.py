"""Conversations by template, in a sandbox."""

from pathlib import Path
from typing import Any

import pytest

from madang.errors import ConfigError, InputError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}\n"
    "    {% if message.role == 'assistant' %}\n"
    "<a>{% generation %}{{ message.content }}{% endgeneration %}</a>\n"
    "    {% else %}\n"
    "<{{ message.role }}>{{ message.content }}\n"
    "    {% endif %}\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
TALK = [{"role": "user", "content": "he"}, {"role": "assistant", "content": "hell"}]
TEXT = "<|endoftext|><user>he\n<a>hell</a>\n"


@pytest.fixture
def chatty(gpt2_folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(gpt2_folder, chat_template=TEMPLATE)


def test_a_conversation_becomes_text_or_ids(chatty: PreTrainedTokenizerFast) -> None:
    assert chatty.apply_chat_template(TALK, tokenize=False) == TEXT
    ids = chatty.apply_chat_template(TALK)
    assert ids == chatty.encode(TEXT)
    assert ids[0] == chatty.bos_token_id
    assert chatty.apply_chat_template(TALK[:1], tokenize=False, add_generation_prompt=True).endswith("he\n<a>")


def test_return_dict_is_an_encoding_and_never_the_default(chatty: PreTrainedTokenizerFast) -> None:
    assert isinstance(chatty.apply_chat_template(TALK), list)
    batch = chatty.apply_chat_template(TALK, return_dict=True)
    assert list(batch) == ["input_ids", "attention_mask"]
    array = chatty.apply_chat_template(TALK, return_tensors="np")
    assert array.shape == (1, len(batch["input_ids"]))


def test_several_conversations_padded_and_cut(chatty: PreTrainedTokenizerFast) -> None:
    chatty.pad_token = chatty.eos_token
    batch = chatty.apply_chat_template([TALK, TALK[:1]], padding=True, truncation=True, max_length=12, return_dict=True)
    assert [len(row) for row in batch["input_ids"]] == [12, 12]
    assert chatty.apply_chat_template([TALK, TALK[:1]], tokenize=False)[0] == TEXT


def test_an_open_last_message_ends_where_its_text_ends(chatty: PreTrainedTokenizerFast) -> None:
    def left_open(content: str) -> str:
        talk = [*TALK[:1], {"role": "assistant", "content": content}]
        text: str = chatty.apply_chat_template(talk, tokenize=False, continue_final_message=True)
        return text

    assert left_open("hell") == TEXT.removesuffix("</a>\n")
    assert left_open("hell ") == TEXT.removesuffix("</a>\n") + " "
    with pytest.raises(InputError, match="choose one"):
        chatty.apply_chat_template(TALK, continue_final_message=True, add_generation_prompt=True)
    with pytest.raises(InputError, match="with text to continue"):
        left_open("")


def test_the_answers_are_marked(chatty: PreTrainedTokenizerFast) -> None:
    batch = chatty.apply_chat_template(TALK, return_dict=True, return_assistant_tokens_mask=True)
    marked = [token for token, inside in zip(batch.tokens(), batch["assistant_masks"], strict=True) if inside]
    assert marked == ["hell"]
    assert batch["input_ids"] == chatty.apply_chat_template(TALK)
    with pytest.raises(InputError, match="generation"):
        chatty.apply_chat_template(TALK, chat_template="x", return_assistant_tokens_mask=True)


def test_templates_are_chosen_by_name_and_for_tools(gpt2: PreTrainedTokenizerFast) -> None:
    gpt2.chat_template = {"default": "d", "tool_use": "{{ tools | tojson }}", "other": "o"}
    assert gpt2.apply_chat_template(TALK, tokenize=False) == "d"
    assert gpt2.apply_chat_template(TALK, tokenize=False, chat_template="other") == "o"
    assert gpt2.apply_chat_template(TALK, tokenize=False, chat_template="{{ messages | length }}") == "2"
    assert gpt2.apply_chat_template(TALK, tokenize=False, tools=[{"name": "더하기"}]) == '[{"name": "더하기"}]'
    assert gpt2.get_chat_template() == "d"
    gpt2.chat_template = {"a": "x", "b": "y"}
    with pytest.raises(InputError, match=r"none is the default.*\['a', 'b'\]"):
        gpt2.apply_chat_template(TALK)
    gpt2.chat_template = None
    with pytest.raises(InputError, match="has no chat template"):
        gpt2.apply_chat_template(TALK)


def test_functions_are_described_to_the_template(gpt2: PreTrainedTokenizerFast) -> None:
    def add(first: int, second: int = 1) -> int:
        """Add two numbers.

        Args:
            first: the one
            second: the other
        """
        return first + second

    text = gpt2.apply_chat_template(TALK, tools=[add], chat_template="{{ tools[0].function.name }}", tokenize=False)
    assert text == "add"


def test_documents_and_further_values_reach_the_template(gpt2: PreTrainedTokenizerFast) -> None:
    template = "{{ documents[0].title }} {{ mood }} {{ strftime_now('%Y') | length }}"
    text = gpt2.apply_chat_template(TALK, chat_template=template, documents=[{"title": "t"}], mood="m", tokenize=False)
    assert text == "t m 4"


def test_loops_can_be_left_and_what_is_written_is_not_escaped(gpt2: PreTrainedTokenizerFast) -> None:
    template = "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m | tojson }}{% endfor %}"
    talk = [{"role": "user", "content": "<b> & '한'"}, TALK[0]]
    assert (
        gpt2.apply_chat_template(talk, chat_template=template, tokenize=False)
        == '{"role": "user", "content": "<b> & \'한\'"}'
    )


def test_a_template_can_refuse_and_its_words_are_passed_on(gpt2: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="roles must alternate"):
        gpt2.apply_chat_template(TALK, chat_template="{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ConfigError, match="not valid Jinja"):
        gpt2.apply_chat_template(TALK, chat_template="{% for %}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ raise_exception.__globals__.json }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{% include '/etc/passwd' %}",
        "{{ range(10 ** 9) | list }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(gpt2: PreTrainedTokenizerFast, template: str) -> None:
    talk = [dict(message) for message in TALK]
    with pytest.raises(InputError):
        gpt2.apply_chat_template(talk, chat_template=template, tokenize=False)
    assert talk == TALK


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        ("hello", "found one str"),
        ({"role": "user"}, "found one dict"),
        ([{"content": "a"}], "message 0 is"),
        ([TALK, ["x"]], "message 0 is 'x'"),
    ],
)
def test_what_is_no_conversation_is_explained(chatty: PreTrainedTokenizerFast, talk: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chatty.apply_chat_template(talk)


def test_a_template_file_wins_over_the_config(tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
    chatty.save_pretrained(tmp_path)
    assert (tmp_path / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    (tmp_path / "chat_template.jinja").write_text("new", encoding="utf-8")
    assert AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(TALK, tokenize=False) == "new"
