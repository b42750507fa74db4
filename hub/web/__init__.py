"""The hub's API and stream: the only place that knows FastAPI."""
