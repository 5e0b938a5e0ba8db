from lean_lite.cli.listing import settings_table
from lean_lite.config import Source
from lean_lite.config.section import Secret


def test_settings_stand_in_columns_with_their_secrets_masked() -> None:
    sources = [
        Source("bus.url", "nats://x", "LEAN_LITE_BUS__URL"),
        Source("bus.password", Secret("hunter2"), "default"),
    ]
    assert settings_table(sources) == (
        "bus.url       'nats://x'  LEAN_LITE_BUS__URL\nbus.password  '***'       default\n"
    )
