"""What a person is told of a field that breaks its rule: words, and no regular expression."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from mediaagent.v1 import group_pb2, history_pb2, session_pb2, view_pb2
from mediaagentd.errors import Refused
from mediaagentd.interceptors import check


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            session_pb2.LoginRequest(user_id="a b", user_sig="x"),
            "user_id: must be 1 to 32 characters: letters A to Z and a to z, digits, _ - (string.pattern)",
        ),
        (
            view_pb2.WatchViewRequest(view_id="a/b"),
            "view_id: must be 1 to 64 characters: letters A to Z and a to z, digits, . _ - (string.pattern)",
        ),
        (
            history_pb2.RecordFilter(user_id="a b"),
            "user_id: must be 0 to 32 characters: letters A to Z and a to z, digits, _ - (string.pattern)",
        ),
        (
            group_pb2.CreateGroupRequest(name="\x01"),
            "name: must be 0 to 100 characters, none of them a control character (string.pattern)",
        ),
    ],
)
def test_rules_in_words(message: Message, told: str) -> None:
    with pytest.raises(Refused) as refused:
        check(message)
    assert refused.value.message == told
