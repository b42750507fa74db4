"""Pure steps of the agent: parsers, motion, sampling, queueing. No clock, no I/O."""
