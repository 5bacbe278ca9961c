"""Changing a repository over HTTP: which way each file goes, then one commit."""

from fastapi import APIRouter

router = APIRouter(tags=["commits"])
