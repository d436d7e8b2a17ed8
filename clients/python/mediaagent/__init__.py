"""Thin client of the media agent: video calls of a device, driven over gRPC.

```python
async with Agent("/run/mediaagent/agent.sock") as agent:
    await agent.login("alice", user_sig)
    await agent.call("bob", "video")
```

Resources are the contract's own messages (`mediaagent.v1`); failures are `AgentError`.
"""

from mediaagent.client import Agent
from mediaagent.errors import AgentError, AgentUnavailable
from mediaagent.history import records_where
from mediaagent.places import frames
from mediaagent.subscription import Connection, Subscription
from mediaagent.words import CallType, Event, FrameFormat, ImageFormat, VideoProfile

__all__ = [
    "Agent",
    "AgentError",
    "AgentUnavailable",
    "CallType",
    "Connection",
    "Event",
    "FrameFormat",
    "ImageFormat",
    "Subscription",
    "VideoProfile",
    "frames",
    "records_where",
]
