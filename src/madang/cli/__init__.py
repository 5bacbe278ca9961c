"""Commands, a file each: `madang dataset` is cli/dataset.py."""
