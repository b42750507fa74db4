"""The contract between agent and hub: messages, topics, codecs, prediction. Standard library only, pure."""

VERSION = "0.1.0"
BUILT_MS = 1_795_305_600_000
"""2026-11-22: no fix of a running vehicle is older than the software that reads it. Raised with each release."""
