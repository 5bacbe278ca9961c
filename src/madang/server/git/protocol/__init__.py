"""Git over HTTP: what `git clone`, `git fetch` and `git push` speak with the hub."""
