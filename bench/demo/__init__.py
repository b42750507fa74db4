"""`make demo`: a hub and three gateways on rigs that replay real drives; one link is cut, and everything is measured."""
