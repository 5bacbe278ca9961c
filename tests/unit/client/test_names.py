"""Which names a hub could have, and which paths stay inside a folder."""

import pytest

from madang.client.names import is_inner_path, is_repository_name


@pytest.mark.parametrize(
    "name", ["klue", "klue/roberta-base", "a/b", "bert_base.v1-2", "0/1", f"{'a' * 96}/{'b' * 96}"]
)
def test_possible_names(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "/",
            "a/",
            "/a",
            "../x",
            "a/..",
            "a/../b",
            "a/b/c",
            "a b",
            "a/b c",
            "a\\b",
            "a--b/c",
            "a..b",
            "a/b.git",
            "a/b\n",
        ),
        *("-a/b", "a/b-", ".a/b", "a/b.", "한국/모델", "a%2Fb", "a?b", "a#b", "a\0b", f"a/{'b' * 97}", None, 7),
    ],
)
def test_impossible_names(name: object) -> None:
    assert not is_repository_name(name)


@pytest.mark.parametrize("path", ["config.json", "onnx/model.onnx", "refs/pr/1", "...", "a..b"])
def test_paths_inside(path: str) -> None:
    assert is_inner_path(path)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "../x", "a/../x", "a//b", "a/", "./a", "a\\..\\b"])
def test_paths_that_lead_elsewhere(path: str) -> None:
    assert not is_inner_path(path)
