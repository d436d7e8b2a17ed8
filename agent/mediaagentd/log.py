"""Logging: one JSON object a line on stderr, coloured lines on a terminal.

Secrets, SDP, addresses and tokens never reach a line above debug; who logs sees to that.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import Processor


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends all logs of this process to `stream` (stderr), those of the libraries from warning on. A line
    that cannot be written is lost, and nothing else.

    `level` is debug, info, warning or error.
    """
    stream = sys.stderr if stream is None else stream
    lossy = cast(TextIO, _Lossy(stream))
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_render(stream)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(lossy),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(shared, lossy, number)


class _Lossy(io.TextIOBase):
    """Writes to `stream` what can be written: who logs that a disk is full must not fail of it, nor when the
    terminal or the journal is gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Never raises."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Never raises."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether people read it."""
        return self._stream.isatty()


def _render(stream: TextIO) -> list[Processor]:
    """The last processors: for people on a terminal, for programs elsewhere."""
    if stream.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _adopt_libraries(shared: list[Processor], stream: TextIO, number: int) -> None:
    """Gives the stdlib's loggers (aiortc, grpc, asyncio) the same shape."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_render(stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # The WebRTC libraries write addresses and candidates at info.
    root.setLevel(max(number, logging.WARNING))
