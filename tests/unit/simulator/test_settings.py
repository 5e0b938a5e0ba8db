from typing import Any

import pytest

from lean_lite_sim import Simulator, SimulatorSettings
from lean_lite_sim.cli import settings_from
from lean_lite_sim.market.timestamps import format_instant
from tests.harness.simulator_clients import fast


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", 0.0),
        ("bar_delay_feed_s", 30.0),
        ("connection_limit", 0),
        ("queue_frames", 0),
        ("rate_limit_per_minute", 0),
        ("symbols", -1),
        ("frame_size", -1),
        ("feeds", frozenset({"nyse"})),
    ],
)
def test_an_error_names_the_invalid_setting(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        SimulatorSettings(**{name: value})


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(SimulatorSettings(keys={"me": "hidden"}))


def test_options_become_settings() -> None:
    words = "--keys a:b --keys c:d --feeds iex,us --hold --speed 7 --no-recent-sip --symbols 9"
    settings = settings_from([*words.split(" "), "--faults", '{"late_fraction": 0.5}'])
    assert settings.keys == {"a": "b", "c": "d"}
    assert settings.feeds == {"iex", "us"}
    assert (settings.hold, settings.speed, settings.recent_sip) == (True, 7.0, False)
    assert settings.faults.late_fraction == 0.5
    assert settings.symbols == 9


def test_settings_without_options_are_the_defaults() -> None:
    assert settings_from([]) == SimulatorSettings()


def test_the_default_start_is_the_open_of_the_first_day_that_all_symbols_have() -> None:
    assert format_instant(Simulator(fast()).clock.start_ns) == "2026-11-18T14:30:00Z"


def test_a_start_may_be_a_time_but_no_other_text() -> None:
    simulator = Simulator(fast(start="2026-11-19T10:00:00-05:00"))
    assert format_instant(simulator.clock.start_ns) == "2026-11-19T15:00:00Z"
    with pytest.raises(ValueError, match="RFC-3339"):
        Simulator(fast(start="noon"))


def test_the_last_start_is_the_open_of_the_latest_recorded_day() -> None:
    assert format_instant(Simulator(fast(start="last")).clock.start_ns) == "2026-11-20T14:30:00Z"


def test_synthetic_stocks_can_have_names() -> None:
    settings = settings_from(["--also", "MSFT,BRK.B", "--symbols", "1"])
    assert settings.also == ("MSFT", "BRK.B")
    simulator = Simulator(fast(symbols=1, also=settings.also))
    bars = {symbol: simulator.recording(symbol) for symbol in ("MSFT", "BRK.B", "SYN0000")}
    assert {len(series) for series in bars.values()} == {6 * 390}
    minutes = {bar.start_ns for bar in bars["MSFT"]}
    assert minutes <= {bar.start_ns for bar in simulator.recording("SPY")}


@pytest.mark.parametrize("name", ["SPY", "msft", "ETH/USD"])
def test_an_invalid_or_recorded_name_of_a_synthetic_stock_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Simulator(fast(also=(name,)))
