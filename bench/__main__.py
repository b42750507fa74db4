"""`make bench`: every figure of docs/performance.md, in one run."""

from bench import agent, decode, live, months, obd, odometer, outage, profiles, thinning

for part in (decode, obd, live, profiles, thinning, odometer, months, outage, agent):
    part.main()
    print(flush=True)
