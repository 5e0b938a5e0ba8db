"""Create the streams again, and read what they hold."""

from collections.abc import Mapping
from typing import NamedTuple

from nats.js.errors import ServerError

from lean_lite.bus import Bus, create_streams
from lean_lite.config import StreamsConfig
from lean_lite.protocol.headers import MARKER, MSG_ID
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import GRADED
from tests.harness.waiting import until

SETTINGS = StreamsConfig(bytes=256 * 1024**2)


class Stored(NamedTuple):
    """Hold one message of a stream."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes

    @property
    def lane(self) -> Lane:
        return Lane.from_subject(self.subject)

    @property
    def is_marker(self) -> bool:
        return MARKER in self.headers

    @property
    def epoch(self) -> int:
        """The lease under which it was written."""
        return int(self.headers[MSG_ID].partition(":")[0])


async def recreate(admin: Bus) -> None:
    """Delete every stream and bucket, and create them as the setup does."""

    async def recreated() -> bool:
        for stream in await admin.jetstream.streams_info():
            await admin.jetstream.delete_stream(str(stream.config.name))
        await create(admin)
        return not sum([stream.state.messages for stream in await admin.jetstream.streams_info()])

    await until(recreated, "empty streams")


async def create(admin: Bus) -> None:
    """Create what is missing, as the setup does."""

    async def created() -> bool:
        try:
            await create_streams(admin, SETTINGS)
        except ServerError:
            # The server deletes files after its reply, and fails while they still exist.
            return False
        return True

    await until(created, "streams")


async def stored(bus: Bus, stream: str, subject: str = "") -> list[Stored]:
    """Return all messages of a stream, or those of one subject."""
    state = (await bus.jetstream.stream_info(stream)).state
    found: list[Stored] = []
    if not state.messages:
        return found
    subscription = await bus.jetstream.subscribe(">", stream=stream, ordered_consumer=True)
    while not found or found[-1].seq < state.last_seq:
        message = await subscription.next_msg(timeout=20)
        seq = message.metadata.sequence.stream
        found.append(Stored(seq, message.subject, message.headers or {}, message.data))
    await subscription.unsubscribe()
    return [message for message in found if message.subject == subject or not subject]


async def last_seq(bus: Bus, stream: str) -> int:
    return (await bus.jetstream.stream_info(stream)).state.last_seq


def by_lane(frames: list[Stored]) -> dict[Lane, list[Stored]]:
    lanes: dict[Lane, list[Stored]] = {}
    for frame in frames:
        lanes.setdefault(frame.lane, []).append(frame)
    return lanes


async def graded(bus: Bus) -> dict[Lane, list[Stored]]:
    """Return the GRADED frames of every lane, markers included."""
    return by_lane(await stored(bus, GRADED))
