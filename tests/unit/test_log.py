"""Logs: JSON for programs, the libraries' in the same shape, nothing below the level."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from mediaagentd import log


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.stdlib.get_logger().info("call", call_id="c1")
    structlog.stdlib.get_logger().debug("hidden")
    (line,) = lines(stream)
    assert line["event"] == "call"
    assert line["call_id"] == "c1"
    assert line["level"] == "info"
    assert "timestamp" in line


def test_libraries_speak_alike_from_warning_on() -> None:
    stream = io.StringIO()
    log.configure("debug", stream)
    logging.getLogger("aiortc").info("candidate 192.0.2.1")
    logging.getLogger("aiortc").warning("odd %s", "packet")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("odd packet", "aiortc", "warning")


def test_exception_is_one_line_too() -> None:
    stream = io.StringIO()
    log.configure("error", stream)
    try:
        raise ValueError("seen")
    except ValueError:
        structlog.stdlib.get_logger().exception("defect")
    (line,) = lines(stream)
    assert "ValueError: seen" in str(line["exception"])


def test_a_line_that_cannot_be_written_costs_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 - its end fails too
    log.configure("info", full)
    structlog.stdlib.get_logger().error("the disk is full")
    logging.getLogger("aiortc").error("so it is")
    with contextlib.suppress(OSError):
        full.close()
    structlog.stdlib.get_logger().error("nobody reads")
    assert capfd.readouterr() == ("", "")
