"""One library each: where the agent touches the world."""
