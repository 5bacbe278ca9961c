"""Keys of values: equal for what is equal in every process, different for what could behave differently.

>>> key("map", tokenize, {"batched": True})
'5f0c…'

The key of a function covers its code (not where it stands, how it is indented or commented), its defaults, what it
takes from around it, and the globals, helpers and own modules it uses, and so on from there. Classes and modules of
installed packages count by their name and the package's version. What cannot be told apart from one run to the next,
such as an open connection, is refused with its name and place; it never gets a key by guess.

Not seen: files that a function reads by their path, and names that are only made while it runs (`eval`, `globals()`).
"""

from madang.datasets.fingerprint.keys import Hasher, key
from madang.datasets.fingerprint.kinds import register
from madang.datasets.fingerprint.walk import UnhashableError

__all__ = ["Hasher", "UnhashableError", "key", "register"]
