"""Configuration: a TOML file < secrets in $CREDENTIALS_DIRECTORY < environment (MEDIAAGENT_...) < flags.

Every key is checked here, once; the rest of the house gets values that hold their rules.
"""

from __future__ import annotations

import enum
import os
import pwd
import re
import socket
import uuid
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

PREFIX = "MEDIAAGENT_"
"""What every environment variable of ours begins with; "__" stands for the dot in `hub.listen`."""

SOCKET_PATH_LIMIT = 107
"""Bytes of a unix socket's path (sockaddr_un, with its final zero)."""


_log = structlog.stdlib.get_logger()


class ConfigError(Exception):
    """The configuration breaks a rule; the message names each key and its rule, and no secret."""


def words(text: str) -> list[str]:
    """A list that is written as one string, separated by commas or blanks, where TOML is not at hand."""
    return re.split(r"[,\s]+", text.strip()) if text.strip() else []


def _split(value: object) -> object:
    return words(value) if isinstance(value, str) else value or ()


def _matching(pattern: str, rule: str) -> AfterValidator:
    """A rule that is told in words instead of as a regular expression."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise PydanticCustomError("rule", "must be {rule}", {"rule": rule})
        return value

    return AfterValidator(check)


def _port(value: str) -> str:
    """Else gRPC takes it modulo 65536."""
    if value and int(value.rpartition(":")[2]) > 65535:
        raise PydanticCustomError("rule", "a port is 65535 at the most")
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Holds each against what `ipaddress` takes for a network."""
    for text in value:
        try:
            ip_network(text)
        except ValueError:
            rule = "must be networks such as 127.0.0.0/8 or fe80::/10"
            raise PydanticCustomError("rule", "{rule}", {"rule": rule}) from None
    return value


def _automatic(value: object) -> object:
    return 0 if value == "auto" else value


def _bitrate(value: int) -> int:
    if value and not 6_000 <= value <= 256_000:
        raise PydanticCustomError("rule", "must be auto, or 6000 to 256000 bits a second")
    return value


_SERVER = r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:?/\s]+)(:[0-9]{1,5})?"
_TURN = rf"turn:{_SERVER}(\?transport=(udp|tcp))?|turns:{_SERVER}(\?transport=tcp)?"


def _turn_urls(value: tuple[str, ...]) -> tuple[str, ...]:
    """As agents take them (RFC 7065)."""
    if not all(re.fullmatch(_TURN, url) for url in value):
        rule = "must be turn:host[:port][?transport=udp or tcp] or turns:host[:port][?transport=tcp]"
        raise PydanticCustomError("rule", "{rule}", {"rule": rule})
    return value


def _ice_urls(value: tuple[str, ...]) -> tuple[str, ...]:
    """The same, and STUN over UDP (RFC 7064)."""
    if not all(re.fullmatch(rf"stun:{_SERVER}|{_TURN}", url) for url in value):
        rule = "must be stun:host[:port], turn:host[:port][?transport=udp or tcp] or turns:host[:port]"
        raise PydanticCustomError("rule", "{rule}", {"rule": rule})
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
TurnUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_turn_urls)]
IceUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_ice_urls)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_networks)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+):[0-9]{1,5}"
Port = AfterValidator(_port)
Address = Annotated[str, _matching(_ADDRESS, "host:port or [v6 address]:port"), Port]
NoAddress = Annotated[str, _matching(f"({_ADDRESS})?", "host:port, [v6 address]:port or empty"), Port]
UserId = Annotated[str, _matching(r"[A-Za-z0-9_-]{0,32}", "1 to 32 of a-z A-Z 0-9 - _, or empty")]
_DEVICE_ID = r"[A-Za-z0-9._-]{0,64}"
DeviceId = Annotated[str, _matching(_DEVICE_ID, "1 to 64 of a-z A-Z 0-9 - _ ., or empty")]


Switch = Literal["auto", "on", "off"]
Bitrate = Annotated[int, BeforeValidator(_automatic), AfterValidator(_bitrate)]


class HubConfig(BaseModel):
    """The `[hub]` section: what `mediaagentd hub` and an embedded hub need."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: Address = "127.0.0.1:7443"
    keys: Secrets = ()
    database: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    lease: float = Field(default=30.0, ge=3, le=3600)
    call_lease: float = Field(default=75.0, ge=3, le=3600)
    members: int = Field(default=6, ge=2, le=100)
    login_policy: Literal["single", "multi"] = "single"
    devices: int = Field(default=20, ge=1, le=1000)
    groups: int = Field(default=100, ge=0, le=100_000)
    # A group's call and a user's missed calls are one message, of 4 MiB at the most.
    group_members: int = Field(default=1000, ge=1, le=5_000)
    missed: int = Field(default=200, ge=1, le=1_000)
    caller_burst: float = Field(default=30, ge=1, le=100_000)
    caller_per_second: float = Field(default=1.0, gt=0, le=100_000)
    callee_burst: float = Field(default=60, ge=1, le=100_000)
    callee_per_second: float = Field(default=2.0, gt=0, le=100_000)
    allowed_candidates: Networks = ()
    ice_urls: IceUrls = ()
    ice_username: str = ""
    ice_credential: SecretStr = SecretStr("")
    turn_urls: TurnUrls = ()
    turn_secret: SecretStr = SecretStr("")


class HistoryConfig(BaseModel):
    """The `[history]` section: how many calls are remembered, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: int = Field(default=1000, ge=0, le=100_000)
    days: float = Field(default=90.0, gt=0, le=36_500)


class FaultsConfig(BaseModel):
    """The `[faults]` section: whether FaultService may break things on purpose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False


class Config(BaseModel):
    """Everything that a daemon can be told. Paths are absolute; `None` paths were not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    socket: Path = Field(default_factory=lambda: default_socket(os.environ, os.geteuid()))
    listen: NoAddress = ""
    state_dir: Path = Field(default_factory=lambda: default_state_dir(os.environ, os.geteuid()))
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    hub_target: Address = "127.0.0.1:7443"
    hub_tls: bool = False
    hub_ca: Path | None = None
    turn_ca: Path | None = None
    sdk_app_id: int = Field(default=1400000000, gt=0, lt=2**32)
    device_id: DeviceId = ""
    user_id: UserId = ""
    user_sig: SecretStr = SecretStr("")

    camera: str = "auto"
    microphone: str = "auto"
    speaker: str = "auto"
    video_codecs: Words = ("H264", "VP8")
    video_profile: Literal["auto", "480p", "720p", "1080p"] = "auto"
    video_effort: Literal["auto", "fast", "balanced"] = "auto"
    video_encoder: Literal["auto", "libx264", "h264_nvenc", "h264_qsv", "h264_v4l2m2m"] = "auto"

    audio_mode: Literal["voice", "music"] = "voice"
    audio_stereo: bool = False
    audio_bitrate: Bitrate = 0
    audio_echo_cancellation: Switch = "auto"
    audio_noise_suppression: Switch = "auto"
    audio_gain_control: Switch = "auto"

    reconnect_budget: float = Field(default=60.0, ge=5, le=300)

    history: HistoryConfig = HistoryConfig()
    hub: HubConfig = HubConfig()
    faults: FaultsConfig = FaultsConfig()


class Part(enum.Flag):
    """What a process is. One file tells all of them, but each has the secrets of its own only."""

    NONE = 0
    AGENT = enum.auto()
    HUB = enum.auto()


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None, *, of: Part = Part.NONE) -> Config:
    """The configuration of this process. `file` must exist when given; otherwise $MEDIAAGENT_CONFIG, else
    the user's or the system's `agent.toml` when there is one. `flags` that are None were not given. Secrets
    must be there for what the process is: `of`.

    Raises ConfigError; OSError when the file that was named cannot be read.
    """
    path = _find_file(file, os.environ)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    try:
        settings = _sources(path, os.environ.get("CREDENTIALS_DIRECTORY"))(**given)
        config = Config.model_validate(settings.model_dump(exclude_unset=True))
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from None
    except (SettingsError, ValueError) as error:
        raise ConfigError(f"{path or 'environment'}: {error}") from None
    _check(config)
    _check_secrets(config, of)
    return config


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that begin as ours do and are none: a key that is misspelt would go unseen."""
    known = {f"{PREFIX}{key}".upper() for key in (*Config.model_fields, "config")}
    ours = (name for name in environ if name.upper().startswith(PREFIX))
    return tuple(sorted(name for name in ours if name.upper().partition("__")[0] not in known))


def _sources(path: Path | None, secrets: str | None) -> type[BaseSettings]:
    """Config as settings that read `path`, the environment and the directory of secrets."""

    class Settings(Config, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True,
            hide_input_in_errors=True,
        )  # fmt: skip

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            chain = [init_settings, env_settings]
            if secrets:
                chain.append(
                    NestedSecretsSettingsSource(
                        file_secret_settings, secrets, secrets_dir_missing="ok", secrets_prefix=""
                    )
                )
            if path is not None:
                chain.append(TomlConfigSettingsSource(settings_cls, path))
            return tuple(chain)

    return Settings


def _find_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read; raises OSError when the one that was named is not there, or not yet."""
    named = file or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    if named is not None:
        if not os.access(named, os.R_OK) or named.is_dir():
            raise OSError(f"{named}: there is no such file, or it may not be read")
        return named
    home = environ.get("XDG_CONFIG_HOME") or f"{_home(environ, os.geteuid())}/.config"
    usual = (Path(home) / "mediaagent" / "agent.toml", Path("/etc/mediaagent/agent.toml"))
    return next((path for path in usual if _is_readable(path)), None)


def _is_readable(path: Path) -> bool:
    """Whether the file is there for us; a service may not even look into a home (ProtectHome)."""
    return os.access(path, os.R_OK) and path.is_file()


def _explain(error: ValidationError, path: Path | None) -> str:
    """One line per key: what it is called and which rule it breaks. No values: some are secrets."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        key = ".".join(str(part) for part in problem["loc"]) or "configuration"
        known = "there is no such key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{key}: {known}")
    where = f" ({path}, environment {PREFIX}..., flags)" if path else f" (environment {PREFIX}..., flags)"
    return "; ".join(lines) + where


def _check(config: Config) -> None:
    """Rules that span keys or need more than a pattern."""
    if len(os.fsencode(config.socket)) > SOCKET_PATH_LIMIT:
        raise ConfigError(
            f"socket: a unix socket's path has at most {SOCKET_PATH_LIMIT} bytes: {config.socket}"
        )
    for name in ("socket", "state_dir"):
        if not getattr(config, name).is_absolute():
            raise ConfigError(f"{name}: the path must be absolute")
    unknown = [codec for codec in config.video_codecs if codec not in ("VP8", "H264")]
    if unknown or not config.video_codecs:
        raise ConfigError("video_codecs: one or more of VP8 and H264, in order of preference")
    if not all(key.get_secret_value() for key in config.hub.keys):
        raise ConfigError("hub.keys: a key is not empty")
    if (config.hub.tls_certificate is None) != (config.hub.tls_key is None):
        raise ConfigError("hub.tls_certificate, hub.tls_key: TLS needs both")


def _check_secrets(config: Config, of: Part) -> None:
    if Part.AGENT in of and bool(config.user_id) != bool(config.user_sig.get_secret_value()):
        raise ConfigError("user_id, user_sig: logging in at the start needs both")
    if Part.HUB in of and bool(config.hub.turn_urls) != bool(config.hub.turn_secret.get_secret_value()):
        raise ConfigError("hub.turn_urls, hub.turn_secret: TURN needs both")


# --------------------------------------------------------------------------------- defaults


def default_socket(environ: Mapping[str, str], uid: int) -> Path:
    """Where the daemon listens: the user's runtime directory, or the system's for root and services."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if uid != 0 and runtime:
        return Path(runtime) / "mediaagent" / "agent.sock"
    return Path("/run/mediaagent/agent.sock")


def default_state_dir(environ: Mapping[str, str], uid: int) -> Path:
    """Where the daemon keeps what must survive: systemd's choice, else the system's or the user's."""
    chosen = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if chosen:
        return Path(chosen)
    if uid == 0:
        return Path("/var/lib/mediaagent")
    home = environ.get("XDG_STATE_HOME") or f"{_home(environ, uid)}/.local/state"
    return Path(home) / "mediaagent"


def _home(environ: Mapping[str, str], uid: int) -> str:
    """As the environment names it, else the user database; for a user in neither one that is not there."""
    try:
        return environ.get("HOME") or pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/nonexistent"


def device_id(config: Config) -> str:
    """The stable name of this device: the configured one, else one that is made once and kept in the
    state directory. What can be neither read nor written there costs the name, not the calls: there is one
    for this run then. One that no hub would take, because the power went while it was written, is made anew.
    """
    if config.device_id:
        return config.device_id
    path = config.state_dir / "device_id"
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:40] or "device"
    made = f"{host}-{uuid.uuid4().hex[:12]}"
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = path.read_text("ascii", "ignore").strip()[:64] if path.is_file() else ""
        if kept and re.fullmatch(_DEVICE_ID, kept):
            return kept
        draft = path.with_suffix(".new")
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{made}\n")
            file.flush()
            os.fsync(file.fileno())  # else its name may be on the disk before it is
        draft.replace(path)
    except OSError as error:
        _log.warning("device_id_not_kept", error=error.strerror, state_dir=str(config.state_dir))
    return made
