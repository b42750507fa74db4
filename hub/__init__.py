"""The hub in the data centre: MQTT to store and Redis, REST and WebSocket stream."""
