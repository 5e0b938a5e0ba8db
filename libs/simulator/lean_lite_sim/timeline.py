"""Timeline: which messages are due when, and which version of a bar REST has when."""

from functools import lru_cache

from lean_lite_sim.faults import UPDATE_AFTER_NS, FaultHistory, Faults, first_version
from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.market import Kind, Market
from lean_lite_sim.market.timeframe import DailyBars
from lean_lite_sim.market.timestamps import MINUTE_NS
from lean_lite_sim.protocol.endpoints import DeliveryGroup
from lean_lite_sim.protocol.wire import Message, bar_message, unknown_message


class Timeline:
    """
    The market as clients receive it, with faults.

    A mark is a full minute of feed time; bars that end at a mark are sent `delay_ns` after it.
    """

    def __init__(self, market: Market, faults: FaultHistory, delay_ns: int) -> None:
        self._market = market
        self._faults = faults
        self._delay_ns = delay_ns
        self._daily: dict[DeliveryGroup, DailyBars] = {}
        self._minute = lru_cache(8)(self._make_minute)

    def prepare(self, kind: Kind, mark_ns: int) -> None:
        """Encode the messages of a mark before they are due."""
        for message in self._minute(kind, mark_ns - MINUTE_NS)[1]:
            message.encode("msgpack")

    def bar_messages(self, kind: Kind, mark_ns: int) -> list[Message]:
        """List the bars due at a mark: those that end there, and delayed ones of the last mark."""
        messages = self._first_versions(kind, mark_ns, delayed=False)
        messages += self._first_versions(kind, mark_ns - MINUTE_NS, delayed=True)
        if messages and self._faults_at(mark_ns).unknown_types:
            messages.append(unknown_message(mark_ns))
        return messages

    def updated_messages(self, kind: Kind, mark_ns: int) -> list[Message]:
        """List the updated bars due 30 s after a mark: complete versions of the late ones."""
        faults = self._faults_at(mark_ns)
        if not faults.late_fraction:
            return []
        bars = self._minute(kind, mark_ns - MINUTE_NS)[0]
        return [
            bar_message("updatedBars", bar, unknown_keys=faults.unknown_keys)
            for bar in bars
            if faults.is_late(bar)
        ]

    def daily_messages(self, group: DeliveryGroup, mark_ns: int) -> list[Message]:
        """List the daily bars due at a mark; late bars count with all of their volume."""
        daily = self._daily.setdefault(group, DailyBars(self._market))
        minute_ns = mark_ns - MINUTE_NS
        bars = daily.after(self._minute(group.kind, minute_ns)[0], minute_ns)
        return [bar_message("dailyBars", bar) for bar in bars]

    def version_at(self, bar: Bar, now_ns: int) -> Bar:
        """Return the version of a bar that REST has at a feed time."""
        if now_ns < bar.end_ns + UPDATE_AFTER_NS and self._faults_at(bar.end_ns).is_late(bar):
            return first_version(bar)
        return bar

    def _first_versions(self, kind: Kind, mark_ns: int, *, delayed: bool) -> list[Message]:
        faults = self._faults_at(mark_ns)
        bars, messages = self._minute(kind, mark_ns - MINUTE_NS)
        if not _touches_bars(faults):
            return [] if delayed else list(messages)
        chosen = [bar for bar in bars if faults.is_out_of_order(bar) == delayed]
        chosen += [bar for bar in chosen if faults.is_duplicate(bar)]
        return [
            bar_message(
                "bars",
                first_version(bar) if faults.is_late(bar) else bar,
                unknown_keys=faults.unknown_keys,
            )
            for bar in chosen
        ]

    def _faults_at(self, mark_ns: int) -> Faults:
        return self._faults.at(mark_ns + self._delay_ns)

    def _make_minute(self, kind: Kind, start_ns: int) -> tuple[list[Bar], list[Message]]:
        bars = self._market.starting_at(kind, start_ns)
        return bars, [bar_message("bars", bar) for bar in bars]


def _touches_bars(faults: Faults) -> bool:
    return bool(
        faults.late_fraction
        or faults.duplicate_fraction
        or faults.out_of_order_fraction
        or faults.unknown_keys,
    )
