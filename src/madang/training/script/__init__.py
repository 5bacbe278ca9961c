"""A training as a plain PyTorch program, without a Trainer in it, that ends with the same bits.

`possible` says what such a program cannot do, `files` puts weights and rows beside it, `parts`, `batches` and `sources`
find what it is made of, and `train.py.jinja` is the program.
"""

from madang.training.script.writing import write_script

__all__ = ["write_script"]
