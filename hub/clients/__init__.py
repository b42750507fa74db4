"""Typed clients of the hub, for Python programs."""
