"""Configuration: who wins over whom, and what it says when a rule is broken."""

from __future__ import annotations

import pwd
import re
import sys
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from mediaagentd import config, configured, hub_daemon
from mediaagentd.config import ConfigError
from mediaagentd.hub.quotas import CALLEE, CALLER, Rate
from mediaagentd.media.voice import ProcessingWish
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of the machine that the tests run on."""
    import os

    for name in list(os.environ):
        if name.startswith("MEDIAAGENT_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_file_below_secrets_below_environment_below_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(
        tmp_path / "agent.toml",
        'camera="file"\nmicrophone="file"\nspeaker="file"\nuser_id="ann"\nuser_sig="file"\nlog_level="debug"\n',
    )
    write(tmp_path / "secrets/user_sig", "secret")
    write(tmp_path / "secrets/microphone", "secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "secrets"))
    monkeypatch.setenv("MEDIAAGENT_MICROPHONE", "environment")
    monkeypatch.setenv("MEDIAAGENT_SPEAKER", "environment")
    loaded = config.load(file, {"speaker": "flag", "camera": None})
    assert (loaded.camera, loaded.microphone, loaded.speaker) == ("file", "environment", "flag")
    assert loaded.user_sig.get_secret_value() == "secret"


def test_hub_section_from_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(
        tmp_path / "agent.toml", '[hub]\nlisten="0.0.0.0:1"\nkeys=["one"]\nlease=20\ncall_lease=90\n'
    )
    write(tmp_path / "secrets/hub__keys", "two, three\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "secrets"))
    monkeypatch.setenv("MEDIAAGENT_HUB__LISTEN", "0.0.0.0:2")
    hub = config.load(file).hub
    assert (hub.listen, hub.lease, hub.call_lease) == ("0.0.0.0:2", 20, 90)
    assert [key.get_secret_value() for key in hub.keys] == ["two", "three"]


def test_file_named_by_environment_then_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "home/.config/mediaagent/agent.toml", 'camera="user"')
    assert config.load().camera == "user"
    monkeypatch.setenv("MEDIAAGENT_CONFIG", str(write(tmp_path / "x.toml", 'camera="named"')))
    assert config.load().camera == "named"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('camra="x"', "camra: there is no such key"),
        ('sdk_app_id="many"', "sdk_app_id: Input should be a valid integer"),
        ("sdk_app_id=0", "sdk_app_id: Input should be greater than 0"),
        ('hub_target="nowhere"', "hub_target: must be host:port"),
        ('hub_target="hub:65536"', "hub_target: a port is 65535 at the most"),
        ('listen="127.0.0.1:99999"', "listen: a port is 65535 at the most"),
        ('[hub]\nkeys=["good", ""]', "hub.keys: a key is not empty"),
        ('user_id="a b"\nuser_sig="x"', "user_id: must be 1 to 32 of"),
        ('device_id="a/b"', "device_id: must be 1 to 64 of"),
        ('video_codecs=["AV1"]', "video_codecs: one or more of VP8 and H264"),
        ("video_codecs=[]", "video_codecs: one or more of VP8 and H264"),
        ('video_profile="4k"', "video_profile: Input should be 'auto', '480p', '720p' or '1080p'"),
        ('audio_mode="noise"', "audio_mode: Input should be 'voice' or 'music'"),
        ('audio_stereo="both"', "audio_stereo: Input should be a valid boolean"),
        ("audio_bitrate=5999", "audio_bitrate: must be auto, or 6000 to 256000 bits a second"),
        ('audio_bitrate="much"', "audio_bitrate: Input should be a valid integer"),
        ("audio_echo_cancellation=true", "audio_echo_cancellation: Input should be 'auto', 'on' or 'off'"),
        ('[hub]\nturn_urls=["stun:a.example"]', "hub.turn_urls: must be turn:host"),
        ('[hub]\nturn_urls=["turns:a.example?transport=udp"]', "hub.turn_urls: must be turn:host"),
        ('[hub]\nice_urls=["stuns:a.example"]', "hub.ice_urls: must be stun:host"),
        ('[hub]\nice_urls=["a.example:3478"]', "hub.ice_urls: must be stun:host"),
        ('socket="agent.sock"', "socket: the path must be absolute"),
        (f'socket="/{"x" * 107}"', "socket: a unix socket's path has at most 107 bytes"),
        ("[hub]\nlease=1", "hub.lease: Input should be greater than or equal to 3"),
        ('[hub]\ntls_key="/k"', "hub.tls_certificate, hub.tls_key: TLS needs both"),
        (
            '[hub]\nallowed_candidates=["home"]',
            "hub.allowed_candidates: must be networks such as 127.0.0.0/8",
        ),
        ("[hub]\ncaller_burst=0", "hub.caller_burst: Input should be greater than or equal to 1"),
        ("[hub]\nmissed=0", "hub.missed: Input should be greater than or equal to 1"),
        ('[faults]\nenabled="perhaps"', "faults.enabled: Input should be a valid boolean"),
        ('camera="x', "Unterminated string"),
    ],
)
def test_broken_rule_names_key_and_rule(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(write(tmp_path / "agent.toml", text))
    assert said in str(refused.value)


BOTH = config.Part.AGENT | config.Part.HUB


@pytest.mark.parametrize(
    ("text", "said", "whose"),
    [
        ('user_id="ann"', "user_id, user_sig: logging in at the start needs both", config.Part.AGENT),
        ('user_sig="x"', "user_id, user_sig: logging in at the start needs both", config.Part.AGENT),
        (
            '[hub]\nturn_urls=["turn:a.example"]',
            "hub.turn_urls, hub.turn_secret: TURN needs both",
            config.Part.HUB,
        ),
    ],
)
def test_a_secret_is_missed_by_its_owner_alone(
    tmp_path: Path, text: str, said: str, whose: config.Part
) -> None:
    """One file for both units, and for who makes a UserSig or checks; each unit has its own credentials."""
    file = write(tmp_path / "agent.toml", text)
    for part in (whose, BOTH):
        with pytest.raises(ConfigError) as refused:
            config.load(file, of=part)
        assert said in str(refused.value)
    config.load(file, of=BOTH & ~whose)


def test_error_tells_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(write(tmp_path / "agent.toml", 'user_id="?"\nuser_sig="hush"\n[hub]\nkeys=5'))
    assert "hush" not in str(refused.value)
    assert "hub.keys" in str(refused.value)


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="there is no such file"):
        config.load(tmp_path / "none.toml")


def test_what_protects_the_hub_reaches_it(tmp_path: Path) -> None:
    text = (
        '[hub]\nallowed_candidates=["127.0.0.0/8", "fe80::/10"]\ncaller_burst=3\ncaller_per_second=0.5\n'
        "callee_burst=4\ncallee_per_second=0.25\ndevices=2\ngroups=3\ngroup_members=5\nmissed=7\n"
    )
    settings = hub_daemon._hub_settings(config.load(write(tmp_path / "agent.toml", text)))
    assert settings.allowed_candidates == (ip_network("127.0.0.0/8"), ip_network("fe80::/10"))
    assert (settings.caller, settings.callee) == (Rate(3, 0.5), Rate(4, 0.25))
    kept = (settings.devices, settings.groups, settings.group_members, settings.missed)
    assert kept == (2, 3, 5, 7)
    defaults = hub_daemon._hub_settings(config.load(write(tmp_path / "agent.toml", "")))
    assert (defaults.caller, defaults.callee, defaults.allowed_candidates) == (CALLER, CALLEE, ())


@pytest.mark.parametrize(
    ("environ", "uid", "path"),
    [
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/mediaagent/agent.sock"),
        ({}, 7, "/run/mediaagent/agent.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/0"}, 0, "/run/mediaagent/agent.sock"),
    ],
)
def test_default_socket(environ: dict[str, str], uid: int, path: str) -> None:
    assert config.default_socket(environ, uid) == Path(path)


@pytest.mark.parametrize(
    ("environ", "uid", "path"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, 7, "/var/lib/a"),
        ({}, 0, "/var/lib/mediaagent"),
        ({"HOME": "/home/ann"}, 7, "/home/ann/.local/state/mediaagent"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "/s"}, 7, "/s/mediaagent"),
        ({}, 65534, f"{pwd.getpwuid(65534).pw_dir}/.local/state/mediaagent"),
        ({}, 2**31, "/nonexistent/.local/state/mediaagent"),
    ],
)
def test_default_state_dir(environ: dict[str, str], uid: int, path: str) -> None:
    assert config.default_state_dir(environ, uid) == Path(path)


def test_device_id_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = config.load(None, {"state_dir": tmp_path / "state"})
    made = config.device_id(settings)
    assert made
    assert config.device_id(settings) == made
    assert config.device_id(settings.model_copy(update={"device_id": "kiosk-1"})) == "kiosk-1"


@pytest.mark.parametrize("left", [b"", b"\0" * 40, b"hall way\n"])
def test_a_device_id_that_no_hub_would_take_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "device_id").write_bytes(left)
    settings = config.load(None, {"state_dir": tmp_path})
    made = config.device_id(settings)
    assert config.load(None, {"device_id": made}).device_id == made != ""
    assert config.device_id(settings) == made


def test_device_id_in_a_place_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    settings = config.load(None, {"state_dir": tmp_path / "file" / "state"})
    with capture_logs() as logs:
        made = config.device_id(settings)
    assert config.load(None, {"device_id": made}).device_id == made != ""
    assert [(log["event"], log["error"]) for log in logs] == [("device_id_not_kept", "Not a directory")]


def test_sound_is_a_voice_unless_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = config.load(write(tmp_path / "agent.toml", 'audio_bitrate="auto"'))
    assert (plain.audio_mode, plain.audio_stereo, plain.audio_bitrate) == ("voice", False, 0)
    monkeypatch.setenv("MEDIAAGENT_AUDIO_BITRATE", "96000")
    told = config.load(write(tmp_path / "agent.toml", 'audio_mode="music"\naudio_stereo=true'))
    assert (told.audio_mode, told.audio_stereo, told.audio_bitrate) == ("music", True, 96_000)


def test_a_voice_is_processed_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = config.load(None, {"audio_echo_cancellation": "on", "audio_gain_control": "off"})
    assert configured.voice_wish(told) == ProcessingWish(True, None, False)
    monkeypatch.setitem(sys.modules, "livekit", None)
    with pytest.raises(
        ConfigError, match="audio_echo_cancellation: the package for it is missing: pip install"
    ):
        configured.voice_wish(told)
    unasked = config.load(None, {"audio_gain_control": "off"})
    assert configured.voice_wish(unasked) == ProcessingWish(None, None, False)


@pytest.mark.parametrize("key", ["hub_ca", "turn_ca"])
def test_an_authority_is_a_file_of_certificates(tmp_path: Path, key: str) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    for name, said in (("none.pem", f"{key}: No such file"), ("bad.pem", f"{key}: no certificates in PEM")):
        with pytest.raises(OSError, match=said):
            configured.authority(key, tmp_path / name)
    assert configured.authority(key, None) is None


async def test_a_hubs_certificate_is_one_and_its_key(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    for name, said in (("none.pem", "No such file"), ("bad.pem", "not a certificate and its key")):
        flags = {"keys": "k", "tls_certificate": tmp_path / name, "tls_key": tmp_path / name}
        with pytest.raises(OSError, match=f"hub.tls_certificate, hub.tls_key: {said}"):
            await hub_daemon.Hub(config.load(None, {"hub": flags})).start()


EXAMPLES = {
    *("hub_ca", "turn_ca", "hub.database", "hub.tls_certificate", "hub.tls_key"),
    *("hub.allowed_candidates", "hub.ice_urls", "hub.turn_urls"),
}
"""Keys of the shipped file whose values are no defaults, because these are empty."""

ELSEWHERE = {"user_sig", "hub.keys", "hub.ice_username", "hub.ice_credential", "hub.turn_secret"}
"""Secrets, which no configuration file should hold, and what belongs to them."""


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    nested = [flat(value, f"{prefix}{key}.") for key, value in values.items() if isinstance(value, dict)]
    plain = {prefix + key: value for key, value in values.items() if not isinstance(value, dict)}
    return {key: value for part in (plain, *nested) for key, value in part.items()}


def test_the_shipped_file_shows_every_key_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shipped = Path(__file__).parents[2] / "systemd" / "agent.toml"
    written = tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", shipped.read_text()))
    shown = flat(config.Config.model_validate(written).model_dump(mode="json", exclude_unset=True))
    defaults = flat(config.Config().model_dump(mode="json"))
    assert set(shown) | ELSEWHERE == set(defaults)
    assert {key for key, value in shown.items() if value != defaults[key]} == EXAMPLES


def test_a_variable_that_is_no_key_is_named() -> None:
    environ = {"MEDIAAGENT_CAMRA": "auto", "MEDIAAGENT_CONFIG": "/x", "MEDIAAGENT_CAMERA": "auto"}
    nested = {"MEDIAAGENT_HUB__LISTEN": "x", "mediaagent_video_codecs": "VP8", "PATH": "/bin"}
    assert config.unknown_variables(environ | nested | {"MEDIAAGENT_HUBB__KEYS": "x"}) == (
        "MEDIAAGENT_CAMRA",
        "MEDIAAGENT_HUBB__KEYS",
    )
