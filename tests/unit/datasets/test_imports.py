import subprocess
import sys


def test_tables_need_neither_torch_nor_pandas():
    program = (
        "import sys, madang.datasets, madang.metrics; "
        "print([name for name in ('torch', 'pandas', 'huggingface_hub', 'pyarrow.compute') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
