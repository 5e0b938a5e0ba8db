import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lean_lite.config import AlpacaConfig, BusConfig, Config
from lean_lite.config.environment import child_environment
from lean_lite.config.keys import SECTIONS
from lean_lite.config.sections import Secret
from lean_lite.errors import ConfigError

SECRET_VALUE = "hunter2"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Change to an empty folder, with no setting in the environment."""
    for name in os.environ:
        if name.startswith(("LEAN_LITE_", "APCA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def origin_of(config: Config, key: str) -> str:
    return next(source.origin for source in config.sources() if source.key == key)


def sections_of(config: Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in SECTIONS}


def test_every_setting_has_a_default() -> None:
    config = Config()
    assert sections_of(config) == {name: section() for name, section in SECTIONS.items()}
    assert {source.origin for source in config.sources()} == {"default"}


def test_the_file_in_the_working_folder_is_read(empty_folder: Path) -> None:
    (empty_folder / "lean-lite.toml").write_text("[store]\ndays_in_memory = 3\n")
    config = Config()
    assert config.store.days_in_memory == 3
    assert origin_of(config, "store.days_in_memory") == "lean-lite.toml [store]"


def test_the_file_named_by_the_variable_is_read_instead(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "lean-lite.toml").write_text("[store]\ndays_in_memory = 3\n")
    (empty_folder / "other.toml").write_text("[ingest]\nsymbols = ['SPY', 'BRK.B']\n")
    monkeypatch.setenv("LEAN_LITE_CONFIG", str(empty_folder / "other.toml"))
    config = Config()
    assert config.ingest.symbols == ("SPY", "BRK.B")
    assert config.store.days_in_memory == 8


def test_the_file_named_by_the_variable_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAN_LITE_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"LEAN_LITE_CONFIG: there is no file nowhere\.toml"):
        Config()


@pytest.mark.parametrize("content", [b"[store", b"a = '\xff'"])
def test_an_error_names_the_file_that_is_not_toml(empty_folder: Path, content: bytes) -> None:
    (empty_folder / "lean-lite.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"lean-lite\.toml: is not TOML"):
        Config()


def test_the_environment_overrides_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "lean-lite.toml").write_text("[bus]\nurl = 'nats://file'\nuser = 'file'\n")
    monkeypatch.setenv("LEAN_LITE_BUS__URL", "nats://environment")
    config = Config()
    assert (config.bus.url, config.bus.user) == ("nats://environment", "file")
    assert origin_of(config, "bus.url") == "LEAN_LITE_BUS__URL"
    assert origin_of(config, "bus.user") == "lean-lite.toml [bus]"
    assert origin_of(config, "bus.password") == "default"


def test_alpacas_own_variables_work(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "lean-lite.toml").write_text("[alpaca]\nkey_id = 'file'\n")
    monkeypatch.setenv("APCA_API_KEY_ID", "alpaca")
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET_VALUE)
    config = Config()
    assert (config.alpaca.key_id, config.alpaca.secret_key) == ("alpaca", SECRET_VALUE)
    assert origin_of(config, "alpaca.key_id") == "APCA_API_KEY_ID"


def test_the_variable_of_a_setting_overrides_alpacas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "alpaca")
    monkeypatch.setenv("LEAN_LITE_ALPACA__KEY_ID", "lean-lite")
    assert Config().alpaca.key_id == "lean-lite"


def test_a_secret_may_be_read_from_a_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "password").write_text(f"{SECRET_VALUE}\n")
    monkeypatch.setenv("LEAN_LITE_BUS__PASSWORD_FILE", "password")
    config = Config()
    assert config.bus.password == SECRET_VALUE
    assert origin_of(config, "bus.password") == "LEAN_LITE_BUS__PASSWORD_FILE"


def test_the_file_of_a_secret_must_be_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAN_LITE_STORE__REDIS_URL_FILE", "nowhere")
    expected = (
        r"store\.redis_url: nowhere can't be read: .*\(from LEAN_LITE_STORE__REDIS_URL_FILE\)"
    )
    with pytest.raises(ConfigError, match=expected):
        Config()


def test_a_secret_must_not_be_given_twice(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "password").write_text(SECRET_VALUE)
    monkeypatch.setenv("LEAN_LITE_BUS__PASSWORD_FILE", "password")
    monkeypatch.setenv("LEAN_LITE_BUS__PASSWORD", SECRET_VALUE)
    with pytest.raises(ConfigError, match=r"bus\.password: is given twice: unset "):
        Config()


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAN_LITE_BUS__URL_FILE", "url")
    with pytest.raises(ConfigError, match=r"bus\.url_file: there is no such setting"):
        Config()


def test_an_empty_variable_of_alpaca_counts_as_not_set(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "lean-lite.toml").write_text("[alpaca]\nkey_id = 'file'\n")
    monkeypatch.setenv("APCA_API_KEY_ID", "")
    assert Config().alpaca.key_id == "file"


def test_the_feed_has_a_short_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config().stack.feed == "alpaca"
    monkeypatch.setenv("LEAN_LITE_FEED", "simulator")
    config = Config()
    assert config.stack.feed == "simulator"
    assert origin_of(config, "stack.feed") == "LEAN_LITE_FEED"
    monkeypatch.setenv("LEAN_LITE_STACK__FEED", "alpaca")
    assert Config().stack.feed == "alpaca"


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "LEAN_LITE_FEED",
            "simulater",
            "stack.feed: Expected alpaca or simulator, not 'simulater'",
        ),
        ("LEAN_LITE_ALPACA__FEED", "otc", "alpaca.feed: Expected iex or sip, not 'otc'"),
        (
            "LEAN_LITE_SERVICE__LOG_LEVEL",
            "warn",
            "service.log_level: Expected debug, info, warning or error, not 'warn'",
        ),
        ("LEAN_LITE_SERVICE__UVLOOP", "yes", "service.uvloop: Expected true or false, not 'yes'"),
    ],
)
def test_a_wrong_choice_lists_the_allowed_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert str(caught.value) == f"{message} (from {variable})"


@pytest.mark.parametrize("name", ["SOAK", "REQUIRE_CONTAINERS"])
def test_switches_of_the_tests_are_not_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"LEAN_LITE_{name}", "1")
    assert {source.origin for source in Config().sources()} == {"default"}


def test_the_environment_of_a_child_has_only_the_settings_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("APCA_API_SECRET_KEY", "LEAN_LITE_FEED", "LEAN_LITE_ALPACA__SECRET_KEY_FILE"):
        monkeypatch.setenv(name, SECRET_VALUE)
    monkeypatch.setenv("OTHER", "kept")
    given = {"LEAN_LITE_STACK__FEED": "simulator"}
    environment = child_environment(given)
    assert environment["OTHER"] == "kept"
    assert {name for name, text in environment.items() if name.startswith("LEAN")} == {*given}
    assert SECRET_VALUE not in environment.values()


def test_sections_can_be_given_in_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAN_LITE_BUS__URL", "nats://environment")
    monkeypatch.setenv("LEAN_LITE_STORE__PATH", "/data")
    config = Config(bus=BusConfig(url="nats://code"))
    assert (config.bus.url, config.store.path) == ("nats://code", "/data")
    assert origin_of(config, "bus.url") == "code"
    assert origin_of(config, "store.path") == "LEAN_LITE_STORE__PATH"


def test_replace_changes_a_copy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAN_LITE_BUS__URL", "nats://environment")
    config = Config()
    other = config.replace(bus={"url": "nats://copy"}, store={"path": "/data"})
    assert (other.bus.url, other.store.path) == ("nats://copy", "/data")
    assert (config.bus.url, config.store.path) == ("nats://environment", "")
    assert origin_of(other, "bus.url") == "code"
    assert origin_of(config, "bus.url") == "LEAN_LITE_BUS__URL"


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("LEAN_LITE_BUS__ULR", r"bus\.ulr: .*from LEAN_LITE_BUS__ULR.*did you mean bus\.url\?"),
        ("LEAN_LITE_BUZ__URL", r"buz: .*from LEAN_LITE_BUZ__URL.*did you mean bus\?"),
        ("LEAN_LITE_INGEST__SYMBOL", r"did you mean ingest\.symbols\?"),
        ("LEAN_LITE_BUS_URL", r"LEAN_LITE_BUS_URL: .*did you mean LEAN_LITE_BUS__URL\?"),
        ("LEAN_LITE_FEEED", r"did you mean LEAN_LITE_FEED\?"),
        ("LEAN_LITE_CONFG", r"did you mean LEAN_LITE_CONFIG\?"),
        ("LEAN_LITE_SPEED", r"did you mean LEAN_LITE_STACK__SPEED\?"),
        ("LEAN_LITE_LOGLEVEL", r"did you mean LEAN_LITE_SERVICE__LOG_LEVEL\?"),
        ("LEAN_LITE_DEMO__SPEED", r"did you mean LEAN_LITE_STACK__SPEED\?"),
        ("LEAN_LITE_STORE__SPEED", r"store\.speed: .*did you mean stack\.speed\?"),
        ("LEAN_LITE_STACK__BANANA", r"; \[stack\] has feed, folder, .*, speed, start$"),
        ("LEAN_LITE_BANANA", r"; a setting is LEAN_LITE_<SECTION>__<KEY>, and .* service, stack$"),
    ],
)
def test_an_unknown_variable_suggests_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match=message):
        Config()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[stroe]\npath = ''\n", r"stroe: .*from lean-lite\.toml.*did you mean store\?"),
        ("[store]\npaht = ''\n", r"store\.paht: .*lean-lite\.toml.*did you mean store\.path\?"),
        ("store = '/data'\n", r"store: must be a table: \[store\]"),
        ("speed = 5\n", r"speed: .*lean-lite\.toml.*did you mean stack\.speed, under \[stack\]\?"),
        ("feed = 'sip'\n", r"alpaca\.feed, under \[alpaca\] or stack\.feed, under \[stack\]\?"),
        ("banana = 5\n", r"banana: .*; the sections are alpaca, bus, .*, stack$"),
    ],
)
def test_an_unknown_key_of_the_file_suggests_the_nearest_name(
    empty_folder: Path, content: str, message: str
) -> None:
    (empty_folder / "lean-lite.toml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        Config()


def test_an_unknown_section_in_code_suggests_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"buss: .*did you mean bus\?"):
        Config(buss=BusConfig())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stak": {}}, r"stak: there is no such setting; did you mean stack\?"),
        ({"stack": {"speeed": 3}}, r"stack\.speeed: .*from code.*did you mean stack\.speed\?"),
        ({"stack": {"feed": "simulater"}}, r"stack\.feed: Expected alpaca or simulator, not "),
        ({"stack": {"speed": -1}}, r"stack\.speed: Expected `float` >= 0"),
        ({"bus": BusConfig()}, r"bus: give its settings by name: `replace\(bus=\{\.\.\.\}\)`"),
    ],
)
def test_an_error_of_replace_names_the_wrong_setting(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config().replace(**changes)


def test_replace_accepts_a_path_as_text(tmp_path: Path) -> None:
    assert Config().replace(stack={"folder": tmp_path}).stack.folder == str(tmp_path)


def test_a_section_in_code_must_have_its_type() -> None:
    with pytest.raises(ConfigError, match=r"bus: must be a BusConfig; `Config\(\)\.replace\(bus="):
        Config(bus={"url": "x"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "text", "key"),
    [
        ("LEAN_LITE_STORE__DAYS_IN_MEMORY", "many", "store.days_in_memory"),
        ("LEAN_LITE_STORE__DAYS_IN_MEMORY", "0", "store.days_in_memory"),
        ("LEAN_LITE_STORE__DAYS_IN_MEMORY", "", "store.days_in_memory"),
        ("LEAN_LITE_BUS__LEASE_TTL_S", "0", "bus.lease_ttl_s"),
        ("LEAN_LITE_BUS__LEASE_TTL_S", "nan", "bus.lease_ttl_s"),
        ("LEAN_LITE_METRICS__PORT", "65536", "metrics.port"),
        ("LEAN_LITE_ALPACA__FEED", "otc", "alpaca.feed"),
        ("LEAN_LITE_ALPACA__SIMULATED", "perhaps", "alpaca.simulated"),
    ],
)
def test_a_bad_value_names_its_key_and_origin(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, key: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError, match=f"from {variable}") as caught:
        Config()
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("SPY", ("SPY",)),
        ("SPY,BRK.B", ("SPY", "BRK.B")),
        (" SPY , BTC/USD,", ("SPY", "BTC/USD")),
        ("", ()),
    ],
)
def test_a_list_is_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, symbols: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LEAN_LITE_INGEST__SYMBOLS", text)
    assert Config().ingest.symbols == symbols


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    secret = Secret(SECRET_VALUE)
    config = Config(alpaca=AlpacaConfig(key_id=secret, secret_key=secret)).replace(
        bus={"password": secret}, store={"redis_url": secret}
    )
    shown = f"{config!r} {config.sources()!r} {config.alpaca!r} {config.bus}"
    assert SECRET_VALUE not in shown
    assert "'***'" in shown


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert repr(Secret("")) == "''"


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config().replace(
        alpaca={"secret_key": Secret(SECRET_VALUE), "feed": "sip", "simulated": True},
        bus={"url": "nats://127.0.0.1:4222", "lease_ttl_s": 0.1},
        ingest={"symbols": ("SPY", "BRK.B", "BTC/USD")},
        stack={"start": "2026-11-23T14:30:00Z", "speed": 1e-3},
        service={"uvloop": False},
        streams={"bytes": 2**40},
    )
    for variable, text in config.environment().items():
        monkeypatch.setenv(variable, text)
    child = Config()
    assert sections_of(child) == sections_of(config)
    assert isinstance(child.alpaca.secret_key, Secret)
    assert child.environment() == config.environment()


def test_the_settings_of_a_child_override_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "lean-lite.toml").write_text("[ingest]\nsymbols = ['SPY']\n[bus]\nurl = 'x'\n")
    config = Config().replace(ingest={"symbols": ()}, bus={"url": ""})
    for variable, text in config.environment().items():
        monkeypatch.setenv(variable, text)
    assert sections_of(Config()) == sections_of(config)


def test_every_setting_is_listed_once() -> None:
    keys = [source.key for source in Config().sources()]
    assert len(keys) == len(set(keys))
    assert set(keys) == {
        f"{name}.{field.name}"
        for name, section in SECTIONS.items()
        for field in msgspec.structs.fields(section)
    }


def test_sections_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Config().bus.url = "x"  # type: ignore[misc]
