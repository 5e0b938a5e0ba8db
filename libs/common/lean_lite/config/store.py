"""The service that keeps every bar."""

from lean_lite.config.section import Count, Seconds, Secret, Section


class StoreConfig(Section, frozen=True):
    """
    Configure the store.

    `path` is the folder of its files, one file per store process. `redis_url` may be empty: then
    nothing is shared there. `days_in_memory` bounds the trading days whose bars stay decoded;
    `reply_rows` bounds one answer, and `wait_s` how long one waits for bars that are on their way;
    `pending_frames` bounds what has been read and is not written yet.
    """

    path: str = ""
    redis_url: Secret = Secret("")
    days_in_memory: Count = 8
    reply_rows: Count = 2_000_000
    wait_s: Seconds = 2.0
    pending_frames: Count = 4_096
