"""All tasks of a hub, by name."""

from madang.server.jobs import collecting, popularity, running

# a file registers its tasks when it is imported
FILES = (collecting, popularity)
TASKS = running.REGISTERED
