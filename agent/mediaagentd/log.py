"""Logging: one JSON object a line on stderr, coloured lines on a terminal.

Secrets, SDP, addresses and tokens never reach a line above debug; who logs sees to that.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends all logs of this process to `stream` (stderr), those of the libraries from warning on.

    `level` is debug, info, warning or error.
    """
    stream = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_render(stream)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(shared, stream, number)


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
