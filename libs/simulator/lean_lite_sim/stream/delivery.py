"""What is due at one instant, cut into frames for each client."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from lean_lite_sim.protocol.wire import Codec, Message, encode_frame
from lean_lite_sim.stream.subscription import Selection


class SharedFrames(NamedTuple):
    """The messages for clients that want the same, and their frames."""

    messages: list[Message]
    frames: list[bytes | str]


class Delivery:
    """The messages due at one instant; clients that want the same share the same frames."""

    def __init__(self, messages: Sequence[Message], frame_size: int) -> None:
        self._messages = messages
        self._frame_size = frame_size
        self.parcel = cache(self._pack)

    def _pack(self, codec: Codec, selection: Selection) -> SharedFrames:
        wanted = [message for message in self._messages if selection.wants(message)]
        frames = [
            encode_frame([m.encode(codec) for m in wanted[at : at + self._frame_size]], codec)
            for at in range(0, len(wanted), self._frame_size)
        ]
        return SharedFrames(wanted, frames)
