"""text-generation: texts and conversations, alone and together."""

import warnings

import pytest
import torch

from madang import GenerationConfig
from madang.errors import InputError, UnknownNameError
from madang.pipelines import TextGenerationPipeline
from tests.unit.pipelines import tiny

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
NEVER = -1  # no token: these random models would stop anywhere
PROMPTS = ["the cat", "a", "Rivers run to the", "the dog sat on"]


@pytest.fixture(scope="module")
def write(pieces):
    return TextGenerationPipeline(tiny.gpt2(), pieces, max_new_tokens=6)


@pytest.fixture(scope="module")
def chat():
    tokenizer = tiny.byte_level()
    tokenizer.chat_template = TEMPLATE
    return TextGenerationPipeline(tiny.gpt2(), tokenizer, max_new_tokens=4)


def text_of(answers):
    (answer,) = answers
    assert set(answer) == {"generated_text"}
    return answer["generated_text"]


def test_a_text_goes_on(write, pieces):
    made = text_of(write("the cat"))
    new = text_of(write("the cat", return_full_text=False))
    assert made == "the cat" + new
    ids = write.model.generate(pieces("the cat", return_tensors="pt")["input_ids"], max_new_tokens=6)[0]
    assert made == pieces.decode(ids, skip_special_tokens=True)
    assert write("the cat", return_tensors=True) == [{"generated_token_ids": ids.tolist()}]


def test_texts_of_different_lengths_together_go_on_as_alone(write):
    assert write(PROMPTS) == [write(prompt) for prompt in PROMPTS]
    assert write(PROMPTS, batch_size=3) == [write(prompt) for prompt in PROMPTS]
    assert list(write(iter(PROMPTS))) == write(PROMPTS)


def test_a_penalty_does_not_count_padding(write):
    options = {"repetition_penalty": 1.8, "return_tensors": True}
    assert write(PROMPTS, **options) == [write(prompt, **options) for prompt in PROMPTS]


def test_nothing_follows_the_end(write, pieces):
    alone = [write(prompt, return_tensors=True)[0]["generated_token_ids"] for prompt in PROMPTS]
    end = alone[0][len(pieces("the cat")["input_ids"])]
    for prompt, answer in zip(PROMPTS, write(PROMPTS, eos_token_id=end, return_tensors=True), strict=True):
        new = answer[0]["generated_token_ids"][len(pieces(prompt)["input_ids"]) :]
        assert end not in new[:-1]
        assert new[-1] == end or len(new) == 6


def test_several_continuations_of_each(write):
    answers = write(PROMPTS, do_sample=True, num_return_sequences=3, generator=torch.Generator().manual_seed(1))
    assert [len(its) for its in answers] == [3] * 4
    assert all(
        one["generated_text"].startswith(prompt) for prompt, its in zip(PROMPTS, answers, strict=True) for one in its
    )
    again = write(PROMPTS, do_sample=True, num_return_sequences=3, generator=torch.Generator().manual_seed(1))
    assert answers == again


def test_a_prefix_is_read_but_not_shown(write):
    made = text_of(write("the cat", prefix="Rivers "))
    assert made == "the cat" + text_of(write("Rivers the cat", return_full_text=False))


def test_an_empty_prompt_starts_from_the_beginning(write):
    made = write(["", "the cat"])
    assert made[1] == write("the cat")
    assert made[0] == write("")


def test_lengths_come_from_the_call_then_the_model(pieces):
    model = tiny.gpt2()
    pipe = TextGenerationPipeline(model, pieces)
    prompt = len(pieces("the cat")["input_ids"])

    def length(**options):
        return len(pipe("the cat", return_tensors=True, eos_token_id=NEVER, **options)[0]["generated_token_ids"])

    assert length(max_new_tokens=3) == prompt + 3
    assert length(max_length=10) == 10
    assert length() == 96  # as many as there are positions
    model.generation_config = GenerationConfig.from_model(model.config, {"max_new_tokens": 5})
    assert length() == prompt + 5


def test_each_text_of_a_batch_gets_all_its_tokens(pieces):
    pipe = TextGenerationPipeline(tiny.gpt2(), pieces, return_tensors=True, eos_token_id=NEVER)
    with pytest.warns(UserWarning, match=r"input 0: this model has positions for 96 tokens"):
        made = pipe([tiny.SENTENCES[1], "a"], max_new_tokens=80)
    assert len(made[0][0]["generated_token_ids"]) == 96
    assert len(made[1][0]["generated_token_ids"]) == 81


def test_a_prompt_without_room_says_so_or_is_cut(write):
    long = tiny.SENTENCES[1] * 4
    with pytest.raises(
        InputError, match=r"input 1 has \d+ tokens and this model has positions for 96.*truncation=True"
    ):
        write(["a", long])
    cut = text_of(write(long, truncation=True))
    assert cut.startswith(long)
    assert cut == text_of(write(long, handle_long_generation="hole"))


def test_a_conversation_is_answered_by_one_message_more(chat):
    messages = [{"role": "user", "content": "the cat"}]
    made = text_of(chat(messages))
    assert made[:-1] == messages
    assert made[-1]["role"] == "assistant"
    assert made[-1]["content"] == text_of(chat("user: the cat\nassistant: ", return_full_text=False))
    assert text_of(chat(messages, return_full_text=False)) == made[-1]["content"]


def test_several_conversations(chat):
    chats = [[{"role": "user", "content": text}] for text in ("the cat", "a")]
    assert chat(chats) == [chat(one) for one in chats]


def test_an_unfinished_message_goes_on(chat):
    messages = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat on"}]
    made = text_of(chat(messages))
    assert len(made) == 2
    assert made[-1]["content"].startswith("sat on")
    assert len(text_of(chat(messages, continue_final_message=False))) == 3


def test_options_that_nobody_knows_are_errors(write):
    with pytest.raises(UnknownNameError, match="Did you mean 'temperature'"):
        write("a", temprature=1.0)
    with pytest.raises(InputError, match="max_new_tokens=0"):
        write("a", max_new_tokens=0)
    with pytest.raises(InputError, match="num_beams"):
        write("a", num_beams=4)
    with pytest.raises(InputError, match="tokens of this vocabulary"):
        write("a", stop_sequence="the cat sat")
    with pytest.raises(InputError, match="input 1 is None"):
        write(["a", None])


def test_stopping_at_a_token(write, pieces):
    new = write("the cat", return_tensors=True)[0]["generated_token_ids"][len(pieces("the cat")["input_ids"]) :]
    stop = next((token for token in new if len(pieces(pieces.decode([token]))["input_ids"]) == 1), None)
    if stop is None:
        pytest.skip("this random model wrote no token that is a text of its own")
    made = write("the cat", stop_sequence=pieces.decode([stop]), return_tensors=True)[0]["generated_token_ids"]
    assert made[-1] == stop
    assert made.count(stop) == 1


def test_defaults_of_the_task_in_the_config_are_followed(pieces):
    model = tiny.gpt2(task_specific_params={"text-generation": {"max_length": 9, "do_sample": False}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = TextGenerationPipeline(model, pieces, eos_token_id=NEVER)("a", return_tensors=True)
    assert len(made[0]["generated_token_ids"]) == 9
