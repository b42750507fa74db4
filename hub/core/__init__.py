"""Decisions of the hub: pure, no input or output, no clock."""
