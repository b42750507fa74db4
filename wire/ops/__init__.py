"""What both programs need to run: settings, clock, watch, main, the MQTT client on the asyncio loop."""
