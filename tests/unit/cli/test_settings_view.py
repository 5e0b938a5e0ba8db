import json

from lean_lite.cli.settings_view import settings_json, settings_table
from lean_lite.config import SettingSource
from lean_lite.config.sections import Secret


def test_a_table_has_columns_and_masked_secrets() -> None:
    sources = [
        SettingSource("bus.url", "nats://x", "LEAN_LITE_BUS__URL"),
        SettingSource("bus.password", Secret("hunter2"), "default"),
    ]
    assert settings_table(sources) == (
        "bus.url       'nats://x'  LEAN_LITE_BUS__URL\nbus.password  '***'       default\n"
    )


def test_json_has_one_object_with_masked_secrets() -> None:
    sources = [
        SettingSource("stack.speed", 5.0, "LEAN_LITE_STACK__SPEED"),
        SettingSource("ingest.symbols", ("SPY", "AAPL"), "code"),
        SettingSource("bus.password", Secret("hunter2"), "default"),
        SettingSource("bus.feed_password", Secret(""), "default"),
    ]
    settings = json.loads(settings_json(sources))
    assert settings["stack.speed"] == {
        "value": 5.0,
        "origin": "LEAN_LITE_STACK__SPEED",
        "variable": "LEAN_LITE_STACK__SPEED",
    }
    assert settings["ingest.symbols"]["value"] == ["SPY", "AAPL"]
    assert settings["bus.password"]["value"] == "***"
    assert settings["bus.feed_password"]["value"] == ""
