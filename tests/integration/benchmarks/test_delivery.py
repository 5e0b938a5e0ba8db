"""The compared work is equal: Lean-Lite and the peer deliver every bar once and in order."""

import pytest

from tests.benchmarks.shared.child import child
from tests.benchmarks.shared.market import digest, minutes, symbols
from tests.benchmarks.shared.peers import Peers
from tests.benchmarks.workers.strategy import strategy

MINUTES = 20
PEER = "tests.benchmarks.peers.nautilus"


def expected(count: int, first: int) -> dict[str, object]:
    rows = [row[:7] for row in minutes(symbols(count), first, MINUTES)]
    return {"bars": count * MINUTES, "digest": digest(rows)}


@pytest.mark.parametrize("count", [1, 20])
async def test_our_callback_gets_each_bar_once_and_in_order(count: int) -> None:
    async with strategy(count) as ours:
        inside = await ours.inside(0, MINUTES)
        wire = await ours.wire(MINUTES, MINUTES)
    assert inside.items() >= expected(count, 0).items()
    assert wire.items() >= expected(count, MINUTES).items()
    assert wire["cpu_s_by_process"].keys() == {"strategy", "publisher", "nats-server"}


@pytest.mark.skipif(not Peers().ready(), reason="the first benchmark installs the peers")
@pytest.mark.parametrize("turn", ["process", "live", "wire"])
def test_the_peers_subscriber_gets_each_bar_once_and_in_order(turn: str) -> None:
    with child(Peers().python, PEER, "20") as peer:
        result = peer.turn(turn, first=7, minutes=MINUTES)
    assert result.items() >= expected(20, 7).items()
