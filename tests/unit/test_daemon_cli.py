"""`mediaagentd` as a person types it: exit codes and words, without a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mediaagentd.cli import run
from mediaagentd.hub.usersig import verify


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIAAGENT_CONFIG", "/dev/null")
    monkeypatch.setenv("MEDIAAGENT_HUB__KEYS", "key")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ann", "--app-id", "-5"], 78, "sdk_app_id: Input should be greater than 0"),
        (["ann", "--app-id", "0"], 78, "sdk_app_id: "),
        (["ann", "--expire", "0"], 1, "expire: 1 to "),
        (["ann", "--expire", str(2**53)], 1, f"expire: 1 to {2**53 - 1} s"),
        (["ann", "--key-file", "/dev/null"], 78, "/dev/null: there is no key in it"),
        (["ann", "--key-file", "/proc/self/exe"], 78, "/proc/self/exe: there is no key in it"),
        (["ann", "--key-file", "/nowhere"], 78, "/nowhere: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_usersig_says_what_is_wrong(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["usersig", *arguments]) == code
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


def test_usersig_of_another_application(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["usersig", "ann", "--app-id", "7"]) == 0
    assert len(capsys.readouterr().out.split()) == 1


def test_usersig_takes_the_first_key_of_the_hubs_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hub_keys").write_text("new\nold\n")
    assert run(["usersig", "ann", "--key-file", str(tmp_path / "hub_keys")]) == 0
    made = capsys.readouterr().out.strip()
    verify(made, user_id="ann", sdk_app_id=1400000000, keys=["new"], now=time.time())


def test_a_hub_whose_database_is_damaged_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDIAAGENT_HUB__KEYS", "k" * 64)
    monkeypatch.setenv("MEDIAAGENT_SDK_APP_ID", "1400000000")
    database = tmp_path / "hub.sqlite"
    database.write_bytes(b"x" * 8192)
    assert run(["hub", "--listen", "127.0.0.1:0", "--database", str(database)]) == 65
    told = capsys.readouterr().err
    assert f"{database}: the database is damaged" in told
    assert "backup" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_leads_nowhere(tmp_path: Path, closed: str) -> None:
    (tmp_path / "keys").write_text("key")
    line = f'exec "$0" -m mediaagentd usersig ann --key-file "$1" {closed}'
    ended = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, tmp_path / "keys"],
        capture_output=True, timeout=60, check=False, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert bool(ended.stdout) == (">&-" not in closed.split())
