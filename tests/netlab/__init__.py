"""A network of our own for tests and benchmarks: hosts that are network namespaces, joined by a switch
that delays, loses, repeats, overtakes and throttles. Needs root (`unavailable()` says why not); all that
it makes has a name with our process id, is removed at the end, and touches nothing else.

    async with Lab("ann", "bob") as lab:                     # 10.77.0.1 and 10.77.0.2
        ann, bob = lab.hosts                                 # or lab["ann"]
        await lab.impair(bob, MODERATE)                      # bob's access link, both ways
        (await probe(ann, bob)).check(MODERATE)              # before any figure counts
        ...
        await lab.impair(bob, LOST)                          # an outage that nobody is told of
        await bob.link(up=False); await bob.link(up=True)    # the cable
        await bob.readdress()                                # another address, the old one is gone

Round trip ann to bob is the sum of both hosts' delays, there and back; a profile is a whole path, so
impair one host only. Loss is made by nftables at the receiving host (`numgen`), all else by a
relay process (`relay.py`, decisions in `wire.py`, seeded).

Three ways to be inside:

    async with running("ann", ["run"], path, environment, prefix=ann.prefix)   # any process: daemons, hub
    with ann.inside(): sock = socket.socket(...)             # a socket stays where it was made
    async with NetPair(lab, settings_a, settings_b) as pair: # two media engines, a process each: `ends.py`

In the manner of `tests/integration/media/pair.py`, `NetPair` has `alice` and `bob`; their engines' methods
are called by name (`await pair.bob.do("set_sending", True, False)`), their reports waited for
(`await pair.alice.reported(PeerUp)`), and what they see read (`await pair.alice.seen()`).
"""

from tests.netlab.ends import NetEnd, NetPair
from tests.netlab.lab import Host, Lab, unavailable
from tests.netlab.probe import Measured, probe
from tests.netlab.profiles import CLEAN, INTERNATIONAL, LOST, MODERATE, SPIKY, Impairment, Phase, round_trip

__all__ = [
    "CLEAN", "INTERNATIONAL", "LOST", "MODERATE", "SPIKY", "Host", "Impairment", "Lab", "Measured", "NetEnd",
    "NetPair", "Phase", "probe", "round_trip", "unavailable",
]  # fmt: skip
