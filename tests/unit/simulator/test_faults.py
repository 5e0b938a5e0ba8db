import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite_sim.faults import ConnectionFault, FaultHistory, Faults, first_version, parse_faults
from lean_lite_sim.market.bar import Bar


def test_changes_are_split_into_lasting_faults_and_a_connection_fault() -> None:
    faults, connection_fault = parse_faults(
        Faults(frame_size=3), {"late_fraction": 0.5, "mute_s": 2}
    )
    assert faults == Faults(frame_size=3, late_fraction=0.5)
    assert connection_fault == ConnectionFault(mute_s=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"late_fractoin": 0.5}, "did you mean 'late_fraction'"),
        ({"mute": 1}, "did you mean 'mute_s'"),
        ({"late_fraction": 1.5}, "between 0 and 1"),
        ({"late_fraction": "much"}, "must be float"),
        ({"auth_fail": True}, "must be int"),
        ({"auth_fail": -1}, "at least 0"),
        ({"no_greeting": 1}, "must be bool"),
        ({"handshake_status": 200}, "one of 0, 400"),
        ({"close_code": 10}, "between 1000 and 4999"),
        ({"half_open_s": 0}, "above 0"),
    ],
)
def test_an_invalid_change_is_refused_with_the_reason(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse_faults(Faults(), changes)


def test_the_history_returns_the_faults_at_a_given_time() -> None:
    history = FaultHistory(Faults(seed=1))
    history.change(Faults(seed=2), 100)
    history.change(Faults(seed=3), 200)
    assert [history.at(ns).seed for ns in (0, 99, 100, 199, 200)] == [1, 1, 2, 2, 3]
    assert history.latest.seed == 3


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_a_larger_fraction_hits_the_same_bars_and_more(start_ns: int, seed: int) -> None:
    bar = Bar("SPY", start_ns, 1.0, 1.0, 1.0, 1.0, 10)
    hit = [Faults(late_fraction=f, seed=seed).is_late(bar) for f in (0.0, 0.2, 0.6, 1.0)]
    assert hit == sorted(hit)
    assert (hit[0], hit[-1]) == (False, True)


def test_about_the_given_fraction_of_bars_is_hit() -> None:
    faults = Faults(duplicate_fraction=0.25, seed=4)
    bars = [Bar("SPY", n, 1.0, 1.0, 1.0, 1.0, 10) for n in range(4_000)]
    assert 900 < sum(faults.is_duplicate(bar) for bar in bars) < 1_100


@pytest.mark.parametrize(("volume", "count"), [(2, 1), (101, None), (0.75, None), (7, 7)])
def test_the_first_version_has_less_volume(volume: float, count: int | None) -> None:
    bar = Bar("X", 0, 1.0, 1.0, 1.0, 1.0, volume, count)
    first = first_version(bar)
    assert 0 < first.volume < volume
    assert type(first.volume) is type(volume)
    assert first._replace(volume=volume, trade_count=count) == bar
