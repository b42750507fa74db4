"""Figures side by side with peers, and the demo. `python -m bench` writes the tables of docs/performance.md."""
