"""The contract between agent and hub: messages, topics, codecs, prediction. Standard library only, pure."""

VERSION = "0.1.0"
