import json

from lean_lite.cli.settings_view import settings_json, settings_table
from lean_lite.config import SettingSource
from lean_lite.config.sections import Secret


def test_settings_stand_in_columns_with_their_secrets_masked() -> None:
    sources = [
        SettingSource("bus.url", "nats://x", "LEAN_LITE_BUS__URL"),
        SettingSource("bus.password", Secret("hunter2"), "default"),
    ]
    assert settings_table(sources) == (
        "bus.url       'nats://x'  LEAN_LITE_BUS__URL\nbus.password  '***'       default\n"
    )


def test_settings_are_an_object_with_their_secrets_masked() -> None:
    sources = [
        SettingSource("stack.speed", 5.0, "LEAN_LITE_STACK__SPEED"),
        SettingSource("ingest.symbols", ("SPY", "AAPL"), "code"),
        SettingSource("bus.password", Secret("hunter2"), "default"),
        SettingSource("bus.feed_password", Secret(""), "default"),
    ]
    said = json.loads(settings_json(sources))
    assert said["stack.speed"] == {
        "value": 5.0,
        "origin": "LEAN_LITE_STACK__SPEED",
        "variable": "LEAN_LITE_STACK__SPEED",
    }
    assert said["ingest.symbols"]["value"] == ["SPY", "AAPL"]
    assert said["bus.password"]["value"] == "***"
    assert said["bus.feed_password"]["value"] == ""
