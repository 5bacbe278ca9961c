"""All tasks of a hub, by name."""

from madang.server.jobs import popularity, running

# a file registers its tasks when it is imported
FILES = (popularity,)
TASKS = running.REGISTERED
