"""The agent: on the vehicle's gateway, from receiver and bus to the outbox and the hub."""
