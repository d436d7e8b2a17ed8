"""The demonstration: one hub, two daemons, a whole story, and a chapter with a third daemon, driven only
through the thin client.

`mediaagentd demo`, or `python -m mediaagentd.demo`. Writes report.json and pictures to build/demo.
"""
