"""Run the store service."""

from lean_lite.service import run
from lean_lite_store.service import StoreService

run("store", StoreService)
