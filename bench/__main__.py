"""`make bench`: every figure of docs/performance.md, in one run."""

from bench import agent, decode, live

for part in (decode, live, agent):
    part.main()
    print(flush=True)
