"""`python -m madang` is the command `madang`."""

import sys

from madang.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
