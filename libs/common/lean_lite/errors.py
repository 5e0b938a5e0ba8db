"""
Every error that Lean-Lite raises on purpose.

    LeanLiteError
    ├── ConfigError          a setting is unknown, missing or has a bad value
    ├── DecodeError          bytes that are not what their subject promises
    ├── BusError             the message bus
    │   ├── BusUnavailable   nobody answers there, or not in time
    │   ├── ServerTooOld     the NATS server lacks what we need
    │   ├── Fenced           another owner has written on our subject: step down
    │   └── LeaseLost        the lease ran out before the write
    ├── RequestError         a service refused a request
    │   └── Busy             it can't answer in time; ask again
    ├── FeedError            the source of bars
    │   └── FeedUnavailable  it does not answer
    ├── StoreError           a file of the store or of DataPersistence
    └── StackError           the embedded stack could not start or was lost

Catch `LeanLiteError` at the edge of a program; the branches tell what can be done about it.
"""

# Exit codes of every process, besides 0 for a stop as requested. A supervisor restarts a process
# that failed; one that could not start (a wrong setting, no server) needs a correction first.
FAILED = 1
COULD_NOT_START = 3


class LeanLiteError(Exception):
    """Be the root of everything that Lean-Lite raises on purpose."""


class ConfigError(LeanLiteError):
    """Name the setting that is wrong, and what would be right."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


class DecodeError(LeanLiteError):
    """Report bytes that are not what their subject promises."""


class BusError(LeanLiteError):
    """Be the root of what can go wrong on the message bus."""


class BusUnavailable(BusError):
    """Report that nobody answers at the address of the bus, or not in time."""


class ServerTooOld(BusError):
    """Report a NATS server that lacks what the bus needs."""

    def __init__(self, found: str, floor: str) -> None:
        super().__init__(
            f"the NATS server is version {found}; Lean-Lite needs {floor} or newer: "
            "upgrade it, or leave `bus.url` empty to use the server that comes with Lean-Lite"
        )
        self.found = found
        self.floor = floor


class Fenced(BusError):
    """Report that another owner has written on a subject that was ours."""

    def __init__(self, subject: str, expected_seq: int, found_seq: int) -> None:
        super().__init__(
            f"{subject}: expected sequence {expected_seq}, found {found_seq} by another owner"
        )
        self.subject = subject
        self.expected_seq = expected_seq
        self.found_seq = found_seq


class LeaseLost(BusError):
    """Report a write that was held back because its lease had run out."""

    def __init__(self, key: str) -> None:
        super().__init__(f"lease {key} is no longer ours")
        self.key = key


class RequestError(LeanLiteError):
    """Report a request that a service refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Busy(RequestError):
    """Report a service that can't answer in time; the same request may work later."""

    def __init__(self, message: str) -> None:
        super().__init__("busy", message)


class FeedError(LeanLiteError):
    """Be the root of what can go wrong with a source of bars."""


class FeedUnavailable(FeedError):
    """Report a feed that does not answer now."""


class StoreError(LeanLiteError):
    """Report files of the store that can't be read or written."""


class StackError(LeanLiteError):
    """Report an embedded stack that could not start, or that was lost."""
