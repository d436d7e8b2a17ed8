"""Whole calls in virtual time: the switchboards of two media engines with real codecs, RTP, SRTP, DTLS and
ICE in one process, over a network that is arithmetic. Half a minute takes five seconds, and is the same for
the same seed.

    python -m tests.virtual.trials --jobs 2 --seeds 40 international   # the trials of tests.netlab
    run(trial, seed).whole()                                           # what both ends heard and saw
    connect(round_trip(0.1, 0.3), seed)                                # seconds until they are connected
    play(story, seed)                                                  # a coroutine that is given the network

What is real is all that the switchboard holds; what is not are sockets (`network.py`), threads and devices
(`end.py`) and the clock (`clock.py`). So nothing here says how long a computer takes.
"""
