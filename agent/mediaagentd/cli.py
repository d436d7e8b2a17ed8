"""The command line `mediaagentd`.

Exit codes: 0 done; 1 a check found something missing, or a defect; 2 wrong usage; 65 the hub's database is
damaged; 69 an address cannot be listened on, a file not be used, a database not be opened; 73 another daemon
has this socket or state directory; 78 the configuration breaks a rule. The units try again after all but 78.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mediaagentd import version

if TYPE_CHECKING:
    from mediaagentd.config import Config, Part


class Exit(enum.IntEnum):
    """Exit codes; those above 64 are of sysexits.h."""

    OK = 0
    FAILED = 1
    DAMAGED = 65
    UNAVAILABLE = 69
    ALREADY_RUNS = 73
    CONFIGURATION = 78


ConfigFile = Annotated[Path | None, Parameter(name="--config", help="TOML file; see systemd/agent.toml.")]
Socket = Annotated[Path | None, Parameter(help="Unix socket for the clients.")]
LogLevel = Annotated[str | None, Parameter(help="debug, info, warning or error.")]
WithParent = Annotated[bool, Parameter(negative=(), show=False)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script; exits."""
    _open_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code; what a person can mend is told without a traceback."""
    from mediaagentd.errors import Refused

    try:
        result = application()(list(arguments), result_action="return_value")
    except Refused as error:
        return _tell(error.message, Exit.FAILED)
    except Exception as error:
        code = _known(error)
        if code is None:
            raise
        return _tell(str(error), code)
    return int(result or 0)


def application() -> App:
    """The commands."""
    app = App(
        name="mediaagentd",
        help="The media agent: a daemon that owns camera, microphone and every call, and its hub.",
        version=version,
    )
    for command in (run_agent, echo, hub, usersig, check, demo):
        app.command(command, name="run" if command is run_agent else None)
    return app


def run_agent(
    *,
    config: ConfigFile = None,
    socket: Socket = None,
    hub_target: Annotated[str | None, Parameter(help="host:port of the hub.")] = None,
    camera: Annotated[str | None, Parameter(help="auto, none, synthetic, a path, a URL, file:/path.")] = None,
    microphone: Annotated[str | None, Parameter(help="auto, none, synthetic, default, a name.")] = None,
    speaker: Annotated[str | None, Parameter(help="auto, null, default, a name, wav:/path.")] = None,
    log_level: LogLevel = None,
    with_hub: Annotated[bool, Parameter(negative=(), help="Run a hub in this process too.")] = False,
    dev: Annotated[
        bool,
        Parameter(negative=(), help="Everything to try a call: a hub, you as `me`, and `echo`, who answers."),
    ] = False,
    with_parent: WithParent = False,
) -> int:
    """Runs the agent of this device until SIGTERM or Ctrl-C."""
    from mediaagentd import daemon
    from mediaagentd.config import Part

    flags = {"socket": socket, "hub_target": hub_target, "camera": camera, "microphone": microphone,
             "speaker": speaker, "log_level": log_level}  # fmt: skip
    part = Part.NONE if dev else Part.AGENT | (Part.HUB if with_hub else Part.NONE)
    settings = _load(config, flags, part)
    if dev:
        _hush(settings)
        return daemon.run_dev(settings, say=_announce)
    read = _reader(config, flags, part)
    return daemon.run_agent(settings, read=read, with_hub=with_hub, with_parent=with_parent)


def echo(
    *,
    config: ConfigFile = None,
    socket: Socket = None,
    hub_target: Annotated[str | None, Parameter(help="host:port of the hub.")] = None,
    log_level: LogLevel = None,
    with_parent: WithParent = False,
) -> int:
    """Runs an agent that answers every call and sends back what it receives.

    The user that it is comes from `user_id` and `user_sig` of the configuration.
    """
    from mediaagentd import daemon
    from mediaagentd.config import Part

    flags = {"socket": socket, "hub_target": hub_target, "log_level": log_level}
    settings, read = _load(config, flags, Part.AGENT), _reader(config, flags, Part.AGENT)
    return daemon.run_agent(settings, read=read, echo=True, with_parent=with_parent)


def hub(
    *,
    config: ConfigFile = None,
    listen: Annotated[str | None, Parameter(help="host:port to listen on.")] = None,
    database: Annotated[Path | None, Parameter(help="SQLite file; without one nothing survives.")] = None,
    log_level: LogLevel = None,
    with_parent: WithParent = False,
) -> int:
    """Runs the signalling hub until SIGTERM or Ctrl-C. Its keys come from the configuration."""
    from mediaagentd import hub_daemon
    from mediaagentd.config import Part

    section = {key: value for key, value in (("listen", listen), ("database", database)) if value is not None}
    flags = {"hub": section or None, "log_level": log_level}
    return hub_daemon.run_hub(_load(config, flags, Part.HUB), with_parent=with_parent)


def usersig(
    user_id: str,
    *,
    config: ConfigFile = None,
    expire: Annotated[int, Parameter(help="Seconds that it is good for; 180 days by default.")] = 180 * 86400,
    app_id: Annotated[int | None, Parameter(help="Application; else the configuration's.")] = None,
    key_file: Annotated[
        Path | None, Parameter(help="File with the hub's keys, the first is used; else its configuration.")
    ] = None,
) -> int:
    """Makes a UserSig for a user and prints it."""
    import time

    from mediaagentd.config import ConfigError, Part
    from mediaagentd.hub.usersig import mint

    settings = _load(config, {"sdk_app_id": app_id}, Part.NONE)
    if key_file is not None:
        key = _key_in(key_file)
    elif settings.hub.keys:
        key = settings.hub.keys[0].get_secret_value()
    else:
        raise ConfigError("hub.keys: there is no key to make a UserSig with: name a --key-file")
    made = mint(settings.sdk_app_id, key, user_id, now=int(time.time()), expire=expire)
    sys.stdout.write(f"{made}\n")
    return Exit.OK


def _key_in(file: Path) -> str:
    """The first key in a file as the hub reads it; ConfigError when it cannot be read, or has none."""
    from mediaagentd.config import ConfigError, words

    try:
        keys = words(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        keys = []
    if not keys or not keys[0]:
        raise ConfigError(f"{file}: there is no key in it")
    return keys[0]


def check(*, config: ConfigFile = None) -> int:
    """Says what is there and what is missing: configuration, places, hub, devices, codecs.

    Exit code 1 when something that the configuration asks for is missing.
    """
    from mediaagentd.check import findings, show
    from mediaagentd.config import Part

    found = findings(_load(config, {}, Part.NONE, quiet=True))
    show(found)
    return Exit.OK if all(finding.good for finding in found) else Exit.FAILED


def demo(
    output: Annotated[Path | None, Parameter(help="Where report and pictures go; else build/demo.")] = None,
) -> int:
    """Plays a whole story between two agents and a hub, and measures it."""
    from mediaagentd.demo.main import OUTPUT
    from mediaagentd.demo.main import run as play

    return int(play(output or OUTPUT))


# --------------------------------------------------------------------------------- the edges


def _open_streams() -> None:
    """What was closed (`2>&-`) leads nowhere: else the next socket or file has its number, and what a library
    says on stderr goes there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: the stream's
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode))


def _load(file: Path | None, flags: dict[str, Any], of: Part, *, quiet: bool = False) -> Config:
    """Configuration and logs of this process."""
    import structlog

    from mediaagentd import config, log

    settings = config.load(file, flags, of=of)
    log.configure("error" if quiet else settings.log_level)
    if unknown := config.unknown_variables(os.environ):
        structlog.stdlib.get_logger().warning("unknown_variables", variables=unknown)
    return settings


def _reader(file: Path | None, flags: dict[str, Any], of: Part) -> Callable[[], Config]:
    """Reads the configuration again, from where it came."""
    from mediaagentd import config

    return lambda: config.load(file, flags, of=of)


def _hush(settings: Config) -> None:
    """Who tries it reads what it announces, not its log, unless a level was asked for."""
    from mediaagentd import log

    if "log_level" not in settings.model_fields_set:
        log.configure("warning")


def _known(error: Exception) -> Exit | None:
    """The exit code of an error that a person can mend; None for a defect."""
    from mediaagentd.config import ConfigError
    from mediaagentd.lock import LockedError
    from mediaagentd.sqlite import StoreError

    match error:
        case ConfigError():
            return Exit.CONFIGURATION
        case LockedError():
            return Exit.ALREADY_RUNS
        case StoreError() if error.broken:
            return Exit.DAMAGED
        case OSError() | StoreError():
            return Exit.UNAVAILABLE
        case _:
            return None


def _tell(message: str, code: Exit) -> int:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("mediaagentd:", style="bold red", end=" ")
    console.print(message, markup=False)
    return code


def _announce(socket: Path) -> None:
    """What `run --dev` prints once everything runs."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    prefix = "" if _is_default(socket) else f"MEDIAAGENT_SOCKET={socket} "
    console.print("[bold green]The media agent runs.[/] You are [bold]me[/]; [bold]echo[/] answers.")
    console.print(f"  socket  {socket}", markup=False)
    console.print(f"  next    {prefix}{_client()} call echo --video", markup=False)
    console.print("  Ctrl-C leaves.")


def _client() -> str:
    """The client's command as one can type it here: its path unless a shell finds it."""
    import os
    import shutil

    beside = Path(sys.executable).with_name("mediaagent")
    if shutil.which("mediaagent") or not beside.exists():
        return "mediaagent"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def _is_default(socket: Path) -> bool:
    import os

    from mediaagentd.config import default_socket

    return socket == default_socket(os.environ, os.geteuid())
