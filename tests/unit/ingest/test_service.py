import pytest
from nats.aio.client import Client

from lean_lite.bus import Bus
from lean_lite.config import Config
from lean_lite.errors import ConfigError
from lean_lite.service import Context
from lean_lite_ingest.service import IngestService


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [("EUR/USD", "a feed of your own that serves forex"), ("aapl", "invalid symbol 'aapl'")],
)
async def test_a_configured_symbol_that_ingest_cannot_serve_is_a_config_error(
    monkeypatch: pytest.MonkeyPatch, symbol: str, reason: str
) -> None:
    for name, value in {
        "APCA_API_KEY_ID": "key",
        "APCA_API_SECRET_KEY": "secret",
        "LEAN_LITE_INGEST__SYMBOLS": f"SPY,{symbol}",
    }.items():
        monkeypatch.setenv(name, value)
    config = Config()
    with pytest.raises(ConfigError, match=reason) as caught:
        IngestService(Context(Bus(Client(), config.bus), config, "ingest-0"))
    assert caught.value.key == "ingest.symbols"
