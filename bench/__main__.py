"""`make bench`: every figure of docs/performance.md, in one run."""

from bench import agent, decode, live, obd, outage

for part in (decode, obd, live, outage, agent):
    part.main()
    print(flush=True)
