"""Functions that stand in texts: the same one at different places."""

import textwrap
from pathlib import Path


def function(source, name="f", filename="a.py", **around):
    """The function `name` that a file with this text defines."""
    namespace = {"__name__": Path(filename).stem, **around}
    exec(compile(textwrap.dedent(source), filename, "exec"), namespace)
    return namespace[name]
