"""Talking to any hub: a thin layer over the huggingface_hub package, which is imported at the first use."""

from madang.client.login import login, logout, whoami
from madang.client.push import push_folder, push_saved
from madang.client.source import Source, open_source

__all__ = ["Source", "login", "logout", "open_source", "push_folder", "push_saved", "whoami"]
