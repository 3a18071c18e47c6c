"""Builds without Paddle Lite's own x86 engine, for tests that are not about it: each of its starts takes seconds."""

NO_ORACLE = {"EDGE_KIT_OPT_PYTHON": "/no/such/python3.7"}
"""Settings under which the kit finds no interpreter for that engine."""
