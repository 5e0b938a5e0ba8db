"""A request is answered, refused, or ends with an error in time; it never hangs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from nats.aio.msg import Msg

from lean_lite.bus import Bus, ChunkedReply, Responder, request_chunks, request_reply
from lean_lite.bus.requests import WINDOW
from lean_lite.bus.responder import MAX_ACTIVE
from lean_lite.errors import BusUnavailable, Busy, DecodeError, RequestError
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.history import Gap, HistoryReply, HistoryRequest
from lean_lite.protocol.subjects import HISTORY
from tests.harness.error_table import shows
from tests.harness.marks import BOTH_BROKERS
from tests.harness.waiting import until
from tests.integration.conftest import Join

pytestmark = BOTH_BROKERS

Handle = Callable[[HistoryRequest], Awaitable[ChunkedReply]]
Serve = Callable[[Handle], Awaitable[Bus]]


@pytest.fixture
async def serve(join: Join) -> AsyncIterator[Serve]:
    responders: list[tuple[Bus, Responder]] = []

    async def serve(handle: Handle) -> Bus:
        bus = await join("store", request_timeout_s=1.0)
        responder = Responder(bus, "store", f"store-{len(responders)}", "0.1.0")
        await responder.start()
        await responder.add_endpoint(HISTORY, HistoryRequest, handle)
        await bus.flush()
        responders.append((bus, responder))
        return bus

    yield serve
    for bus, responder in responders:
        if bus.connected:
            await responder.stop()


def reply(rows: int, chunks: tuple[bytes, ...] = ()) -> ChunkedReply:
    return ChunkedReply(HistoryReply({"equity.1": 7}, rows, len(chunks)), chunks)


async def test_each_request_gets_its_own_reply(serve: Serve, join: Join) -> None:
    async def count(request: HistoryRequest) -> ChunkedReply:
        return reply(len(request.symbols))

    await serve(count)
    client = await join("client")
    requests = [
        request_reply(client, HISTORY, HistoryRequest(("SPY",) * number), HistoryReply)
        for number in range(30)
    ]
    replies = await asyncio.gather(*requests)
    assert [answer.rows for answer in replies] == list(range(30))
    assert replies[0].through == {"equity.1": 7}


async def test_replicas_share_the_requests(serve: Serve, join: Join) -> None:
    handled_by: list[int] = []

    def member(number: int) -> Handle:
        async def handle(_: HistoryRequest) -> ChunkedReply:
            handled_by.append(number)
            return reply(number)

        return handle

    await serve(member(1))
    await serve(member(2))
    client = await join("client")
    for _ in range(60):
        await request_reply(client, HISTORY, HistoryRequest(), HistoryReply)
    assert len(handled_by) == 60
    assert set(handled_by) == {1, 2}


async def test_a_refusal_has_its_code_and_message(serve: Serve, join: Join) -> None:
    async def refuse(request: HistoryRequest) -> ChunkedReply:
        if request.feed == "busy":
            raise Busy("not there yet")
        raise RequestError("too-many", "ask for fewer symbols")

    await serve(refuse)
    client = await join("client")
    with pytest.raises(RequestError, match="ask for fewer symbols") as refused:
        await request_reply(client, HISTORY, HistoryRequest(), HistoryReply)
    assert refused.value.code == "too-many"
    with pytest.raises(Busy, match="not there yet"):
        await request_reply(client, HISTORY, HistoryRequest(feed="busy"), HistoryReply)


async def test_an_undecodable_request_is_refused(serve: Serve, join: Join) -> None:
    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(1)

    await serve(answer)
    client = await join("client")
    with pytest.raises(RequestError, match="invalid request") as refused:
        await request_reply(client, HISTORY, _Wrong(5), HistoryReply)
    assert refused.value.code == "bad-request"


class _Wrong(msgspec.Struct):
    symbols: int


async def test_a_reply_of_another_type_is_an_error(serve: Serve, join: Join) -> None:
    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(1)

    await serve(answer)
    with pytest.raises(DecodeError, match="invalid reply: expected SubscribeReply"):
        await request_reply(await join("client"), HISTORY, HistoryRequest(), SubscribeReply)


async def test_a_request_without_a_responder_fails_at_once(join: Join) -> None:
    client = await join("client", request_timeout_s=60.0)
    with pytest.raises(BusUnavailable) as failed:
        async with asyncio.timeout(40):
            await request_reply(
                client, "md.ctl.subscribe", SubscribeRequest("x", ()), SubscribeReply
            )
    shows("a service that does not run", str(failed.value))


async def test_a_request_or_reply_above_max_payload_is_refused_with_advice(
    serve: Serve, join: Join
) -> None:
    async def answer(request: HistoryRequest) -> ChunkedReply:
        gap = Gap("X" * 2**21, 0, 1, "the name is too long") if request.symbols else None
        return ChunkedReply(HistoryReply({}, 0, 0, gaps=() if gap is None else (gap,)))

    await serve(answer)
    client = await join("client")
    many = tuple(f"SYN{number:07}" for number in range(2**17))
    with pytest.raises(RequestError) as refused:
        await request_reply(client, HISTORY, HistoryRequest(many), HistoryReply)
    assert refused.value.code == "too-large"
    shows("too large a request", str(refused.value))
    with pytest.raises(RequestError, match=r"the reply has \d+ bytes") as refused:
        await request_reply(client, HISTORY, HistoryRequest(("SPY",)), HistoryReply)
    assert refused.value.code == "too-large"
    assert (await request_reply(client, HISTORY, HistoryRequest(), HistoryReply)).rows == 0


async def test_a_request_to_a_silent_service_times_out(serve: Serve, join: Join) -> None:
    release = asyncio.Event()

    async def wait(_: HistoryRequest) -> ChunkedReply:
        await release.wait()
        return reply(1)

    await serve(wait)
    client = await join("client")
    with pytest.raises(BusUnavailable, match="is the service running"):
        await request_reply(client, HISTORY, HistoryRequest(), HistoryReply, timeout_s=0.5)
    release.set()


async def test_requests_above_the_limit_of_a_service_are_refused_as_busy(
    serve: Serve, join: Join
) -> None:
    release = asyncio.Event()

    async def wait(_: HistoryRequest) -> ChunkedReply:
        await release.wait()
        return reply(1)

    await serve(wait)
    client = await join("client", request_timeout_s=60.0)
    requests = [
        asyncio.create_task(request_reply(client, HISTORY, HistoryRequest(), HistoryReply))
        for _ in range(MAX_ACTIVE + 9)
    ]
    await until(lambda: sum(task.done() for task in requests) == 9, "nine refusals")
    release.set()
    replies = await asyncio.gather(*requests, return_exceptions=True)
    assert sum(isinstance(answer, Busy) for answer in replies) == 9
    assert sum(isinstance(answer, HistoryReply) for answer in replies) == MAX_ACTIVE
    assert (await request_reply(client, HISTORY, HistoryRequest(), HistoryReply)).rows == 1


async def test_a_large_reply_arrives_complete_and_in_order(serve: Serve, join: Join) -> None:
    chunks = tuple(bytes([number]) * 200_000 for number in range(60))

    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(60, chunks)

    await serve(answer)
    client = await join("client")
    first, *received = [part async for part in request_chunks(client, HISTORY, HistoryRequest())]
    assert msgspec.msgpack.decode(first, type=HistoryReply).chunks == 60
    assert tuple(received) == chunks


async def test_a_slow_client_has_at_most_one_window_of_chunks_in_flight(
    serve: Serve, join: Join, admin: Bus
) -> None:
    sent = credited = most = 0

    async def on_chunk(message: Msg) -> None:
        nonlocal sent, most
        if message.data.startswith(b"chunk"):
            sent += 1
            most = max(most, sent - credited)

    async def on_credit(message: Msg) -> None:
        nonlocal credited
        credited = max(credited, int(message.data))

    await admin.subscribe("_INBOX.client.>", on_chunk)
    await admin.subscribe("md.credit.>", on_credit)
    await admin.flush()

    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(40, tuple(b"chunk %d" % number for number in range(40)))

    await serve(answer)
    received = []
    async for part in request_chunks(await join("client"), HISTORY, HistoryRequest()):
        await asyncio.sleep(0.02)
        received.append(part)
    assert received[1:] == [b"chunk %d" % number for number in range(40)]
    await until(lambda: sent == 40, "the admin to receive all chunks")
    assert 1 < most <= WINDOW


async def test_a_reply_that_stops_halfway_is_an_error(serve: Serve, join: Join) -> None:
    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(100, tuple(b"chunk %d" % number for number in range(100)))

    server = await serve(answer)
    received = []

    async def read() -> None:
        parts = request_chunks(await join("client"), HISTORY, HistoryRequest(), timeout_s=1.0)
        async for part in parts:
            received.append(part)
            if len(received) == 10:
                await server.connection.close()

    with pytest.raises(BusUnavailable):
        await asyncio.wait_for(read(), 30)
    assert 10 <= len(received) <= 10 + WINDOW


async def test_a_client_that_leaves_during_a_reply_does_not_block_the_next_request(
    serve: Serve, join: Join
) -> None:
    async def answer(_: HistoryRequest) -> ChunkedReply:
        return reply(100, tuple(b"chunk %d" % number for number in range(100)))

    await serve(answer)
    client = await join("client")
    parts = request_chunks(client, HISTORY, HistoryRequest())
    for _ in range(5):
        await anext(parts)
    await parts.aclose()
    assert len([part async for part in request_chunks(client, HISTORY, HistoryRequest())]) == 101
