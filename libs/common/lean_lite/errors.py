"""
Errors of Lean-Lite, and the exit codes of its processes.

    LeanLiteError
    ├── ConfigError          a setting is unknown, missing or has a bad value
    ├── DecodeError          bytes that are not a message of their subject
    ├── BusError             the message bus
    │   ├── BusUnavailable   no answer from the server or a service, or not in time
    │   ├── ServerTooOld     the NATS server is older than the bus needs
    │   ├── Fenced           another owner has written to the subject: step down
    │   └── LeaseLost        the lease expired before the write
    ├── RequestError         a service refused a request
    │   └── Busy             the service can't answer in time: try again
    ├── FeedError            a source of bars
    │   └── FeedUnavailable  the source does not answer: try again
    ├── StoreError           a file of the store or of DataPersistence
    └── StackError           the embedded stack could not start, or was lost

Catch `LeanLiteError` at the edge of a program; a branch shows what can be done about the error.
"""

# Exit codes of every process, besides 0 for a stop as requested. A supervisor restarts a process
# that failed; one that could not start (a wrong setting, no server) needs a correction first.
FAILED = 1
COULD_NOT_START = 3


class LeanLiteError(Exception):
    """Root of the errors that Lean-Lite raises."""


class ConfigError(LeanLiteError):
    """
    A setting is unknown, missing or has a bad value.

    Attributes:
        key: the setting, such as `bus.url`.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


class DecodeError(LeanLiteError):
    """Bytes can't be decoded as the message that their subject carries."""


class BusError(LeanLiteError):
    """Root of the errors of the message bus."""


class BusUnavailable(BusError):
    """The server or a service does not answer, or not in time; a transient error."""


class ServerTooOld(BusError):
    """
    The NATS server lacks features that the bus needs.

    Attributes:
        found: version of the server.
        floor: oldest version that is supported.
    """

    def __init__(self, found: str, floor: str) -> None:
        super().__init__(
            f"the NATS server is version {found}; Lean-Lite needs {floor} or newer: "
            "upgrade it, or leave `bus.url` empty to use the server that comes with Lean-Lite"
        )
        self.found = found
        self.floor = floor


class Fenced(BusError):
    """
    Another owner has written to a subject since the last write of this process.

    Attributes:
        subject: the subject.
        expected_seq: sequence of the last message of this process on the subject.
        found_seq: sequence of the last message that the stream has on it.
    """

    def __init__(self, subject: str, expected_seq: int, found_seq: int) -> None:
        super().__init__(
            f"{subject}: expected sequence {expected_seq}, found {found_seq} by another owner"
        )
        self.subject = subject
        self.expected_seq = expected_seq
        self.found_seq = found_seq


class LeaseLost(BusError):
    """
    A write was withheld because its lease had expired.

    Attributes:
        key: key of the lease.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"lease {key} has expired or has another owner")
        self.key = key


class RequestError(LeanLiteError):
    """
    A service refused a request.

    Attributes:
        code: short code for programs, such as `busy`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Busy(RequestError):
    """A service can't answer in time; the same request may succeed later."""

    def __init__(self, message: str) -> None:
        super().__init__("busy", message)


class FeedError(LeanLiteError):
    """Root of the errors of a source of bars."""


class FeedUnavailable(FeedError):
    """A source of bars does not answer; a transient error."""


class StoreError(LeanLiteError):
    """A file of the store or of DataPersistence can't be read or written."""


class StackError(LeanLiteError):
    """The embedded stack could not start, or was lost."""
