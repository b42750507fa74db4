"""Traces: recorded drives of many formats, read into fixes with their bus values."""
