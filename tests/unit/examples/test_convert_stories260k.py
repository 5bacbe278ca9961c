"""A really trained model in another program's layout tells its story, word for word."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.shared_data import shared

EXAMPLE = Path(__file__).parents[3] / "examples" / "convert_stories260k.py"


@pytest.fixture
def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("convert_stories260k", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def folder(example: ModuleType, tmp_path: Path) -> Path:
    example.convert(shared("stories260k"), tmp_path)
    return tmp_path


def test_the_story_is_the_expected_one(example: ModuleType, folder: Path) -> None:
    text = (shared("stories260k") / "README.md").read_text(encoding="utf-8")
    expected = re.search(r'starts "(.*?)"$', text, re.MULTILINE)
    assert expected is not None
    assert example.tell(folder, 120).startswith(expected[1])


def test_the_story_is_cut_into_the_tokens_it_was_made_of(example: ModuleType, folder: Path) -> None:
    from madang import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    made = model.generate(**tokenizer("", return_tensors="pt"), max_new_tokens=120, do_sample=False)[0].tolist()
    assert tokenizer(tokenizer.decode(made, skip_special_tokens=True)).input_ids == made


def test_letters_without_a_token_become_bytes_and_come_back(folder: Path) -> None:
    from madang import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer("One 마당 day")
    assert {f"<0x{byte:02X}>" for byte in "마당".encode()} <= set(encoded.tokens())
    assert tokenizer.decode(encoded.input_ids, skip_special_tokens=True) == "One 마당 day"


def test_rows_that_turn_together_are_kept_together(example: ModuleType) -> None:
    # one layer, two heads of size 6: rows 0, 1 | 2, 3 | 4, 5 turn together, and 0, 3 | 1, 4 | 2, 5 afterwards
    rows = np.arange(12, dtype=np.float32).reshape(1, 12, 1)
    assert example.halves(rows, 2)[0, :, 0].tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
