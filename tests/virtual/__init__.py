"""Whole calls in virtual time: the switchboards of two media engines with real codecs, RTP, SRTP, DTLS and
ICE in one process, over a network that is arithmetic. Half a minute takes five seconds, and is the same for
the same seed.
"""
