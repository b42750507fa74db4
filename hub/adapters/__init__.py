"""One library each: broker, MQTT, Redis, Valkey, store, HTTP server; and twins in memory."""
