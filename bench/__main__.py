"""`make bench`: every figure of docs/performance.md, in one run."""

from bench import agent, decode, live, outage

for part in (decode, live, outage, agent):
    part.main()
    print(flush=True)
