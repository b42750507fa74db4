"""What adapters and vehicles say: the ELM327 dialogue, parameters, trouble codes, and when to ask what."""
