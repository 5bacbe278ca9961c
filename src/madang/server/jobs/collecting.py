"""Freeing large files that nothing names any more, a little at a time."""

from madang.server.hub import Hub
from madang.server.jobs.running import State, task
from madang.server.operations.collecting import collect_stores, release_some


@task("collecting", every=24 * 3600)
def collecting(hub: Hub, state: State) -> State | None:
    """Look through the next repositories; after the last, free what none of them has."""
    last = release_some(hub, int(state.get("after", 0)))
    if last is not None:
        return {"after": last}
    collect_stores(hub)
    return None
