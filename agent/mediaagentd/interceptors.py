"""Where errors become statuses and statuses become errors; every service of ours stands behind it.

On the server: a request is checked against the rules of its proto before a handler sees it, and whatever a
handler raises leaves as a canonical status with one `google.rpc.ErrorInfo`. On the client: the way back.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Never

import grpc
import protovalidate
import structlog
from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # publishes no types
from grpc_status import rpc_status

from mediaagentd.errors import DOMAIN, Reason, Refused

_log = structlog.stdlib.get_logger()

MAX_REQUEST = 128 * 1024
"""Bytes of a request. The largest that makes sense is an SDP of 64 KiB, or a thousand user ids."""

_Handler = Any  # grpc.RpcMethodHandler; its generics say nothing about asynchronous handlers

_UNREACHABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    }
)
"""Statuses that gRPC makes by itself when nobody answered; with an ErrorInfo they are somebody's answer."""


def server() -> tuple[grpc.aio.ServerInterceptor, ...]:
    """The interceptors of every server of ours."""
    return (_Edge(),)


def refused_from(error: grpc.aio.AioRpcError) -> Refused:
    """What a failed RPC says: the server's own refusal, HUB_UNREACHABLE when there was no answer, else
    INTERNAL.
    """
    info = _info(error)
    message = error.details() or error.code().name
    if info is not None and info.reason in Reason.__members__:
        return Refused(Reason[info.reason], message, dict(info.metadata))
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # gRPC's own word: larger than it takes in at all.
        return Refused(Reason.MESSAGE_TOO_LARGE, message, {"limit": "bytes"})
    if error.code() in _UNREACHABLE:
        return Refused(Reason.HUB_UNREACHABLE, "the hub does not answer")
    return Refused(Reason.INTERNAL, f"the hub answered {error.code().name}")


def check(message: Message) -> None:
    """Holds a message against the rules of its proto. Refused: FIELD_INVALID or USER_ID_INVALID, with
    metadata `field` and `rule`; MESSAGE_TOO_LARGE.
    """
    size = message.ByteSize()
    if size > MAX_REQUEST:
        limits = {"limit": "bytes", "value": str(MAX_REQUEST)}
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"a request of {size} bytes; at most {MAX_REQUEST}", limits)
    violations = protovalidate.collect_violations(message, fail_fast=True)
    if not violations:
        return
    violation = violations[0].proto
    path = [_element(element) for element in (violation.field.elements if violation.field else ())]
    field = ".".join(path) or "request"
    is_user_id = violation.rule_id == "string.pattern" and "user_id" in path[-1]
    reason = Reason.USER_ID_INVALID if is_user_id else Reason.FIELD_INVALID
    message_text = f"{field}: {_in_words(violation.message)} ({violation.rule_id})"
    raise Refused(reason, message_text, {"field": field, "rule": violation.rule_id})


def _in_words(rule: str) -> str:
    """What a person is told of a broken rule: of a pattern, which characters and how many."""
    head, _, pattern = rule.partition(" regex pattern ")
    if not pattern:
        return rule or "breaks its rule"
    pattern = pattern.strip("`")
    listed = re.fullmatch(r"\^\[([^^\]]+)\]\{(\d+),(\d+)\}\$", pattern)
    if listed is not None:
        characters, least, most = listed.groups()
        signs = " ".join(characters.replace("A-Za-z0-9", ""))
        return f"must be {least} to {most} characters: letters A to Z and a to z, digits, {signs}"
    without = re.fullmatch(r"\^\[\^.*\]\{(\d+),(\d+)\}\$", pattern)
    if without is not None:
        return f"must be {without[1]} to {without[2]} characters, none of them a control character"
    return "must be an absolute path, from / on" if pattern.startswith("^/") else head


def status_of(refused: Refused) -> grpc.Status:
    """The status in which a refusal travels."""
    detail = AnyProto()
    metadata = {key: str(value) for key, value in refused.metadata.items()}
    detail.Pack(error_details_pb2.ErrorInfo(reason=refused.reason.name, domain=DOMAIN, metadata=metadata))
    code: int = grpc.StatusCode[refused.reason.status].value[0]
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=refused.message, details=[detail])
    )
    return status


# --------------------------------------------------------------------------------- the server's side


class _Edge(grpc.aio.ServerInterceptor):
    """Wraps every handler with one request; streams of requests (reflection) pass unchanged."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        method = handler_call_details.method
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                _stream(method, handler.unary_stream),
                _or_unreadable(handler.request_deserializer),
                _unless_bytes(handler.response_serializer),
            )
        return grpc.unary_unary_rpc_method_handler(
            _unary(method, handler.unary_unary),
            _or_unreadable(handler.request_deserializer),
            handler.response_serializer,
        )


class _Unreadable:
    """In place of a request whose bytes are no message."""


def _or_unreadable(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Left to gRPC, it would be UNKNOWN, with the parser's words, and a traceback in the log for each."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _Unreadable()

    return read


def _admit(request: Any) -> None:
    """Refused: what `check` refuses, and what could not be read."""
    if isinstance(request, _Unreadable):
        where = {"field": "request", "rule": "protobuf"}
        raise Refused(Reason.FIELD_INVALID, "request: its bytes are no message of this method", where)
    check(request)


def _unless_bytes(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets a stream hand out messages that are serialized already, because many get the same."""
    return lambda message: message if type(message) is bytes else serialize(message)


def _unary(method: str, inner: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Any, context: Any) -> Any:
        try:
            _admit(request)
            return await inner(request, context)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise  # gRPC leaks the call otherwise
        except Exception as error:
            await _abort(method, context, error)

    return answer


def _stream(
    method: str, inner: Callable[[Any, Any], AsyncIterator[Any]]
) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            _admit(request)
            result: Any = inner(request, context)
            if asyncio.iscoroutine(result):
                # A handler may write to the context instead of yielding (health's Watch does).
                await result
                return
            try:
                async for response in result:
                    yield response
            finally:
                await result.aclose()
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception as error:
            await _abort(method, context, error)

    return answer


async def _abort(method: str, context: Any, error: Exception) -> Never:
    refused = error if isinstance(error, Refused) else _defect(method, error)
    status = status_of(refused)
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")


def _defect(method: str, error: Exception) -> Refused:
    """A defect of ours: told in the log, without the error's words, which may be a user's."""
    request_id = secrets.token_hex(8)
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("rpc_failed", method=method, request_id=request_id, error=type(error).__name__, where=where)
    return Refused(
        Reason.INTERNAL,
        f"a defect; the log has it under request_id {request_id}",
        {"request_id": request_id},
    )


def _element(element: Any) -> str:
    subscript = element.subscript
    return str(element.field_name) if subscript is None else f"{element.field_name}[{subscript.value}]"


# --------------------------------------------------------------------------------- the client's side


def _info(error: grpc.aio.AioRpcError) -> Any:
    """Our ErrorInfo in the status, None when there is none."""
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # a status that contradicts its details is nobody's of ours
        return None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            return info
    return None
