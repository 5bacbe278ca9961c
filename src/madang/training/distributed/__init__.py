"""Several processes that train one model together, each on its part of every step's rows.

Started by torchrun, a process finds its place in environment variables. Alone, everything here does nothing.
"""

from madang.training.distributed.processes import Processes

__all__ = ["Processes"]
