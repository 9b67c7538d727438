"""How fast a synthesis is under a server's limits, and what kills cost it.

    make bench-synthesis [ARGS="--kills 20 --out bench/results/synthesis.json"]

`gentool synthesize` makes 286 pairs with 2,002 requests to a scripted teacher, which is a real HTTP server in another
process (`tests/llm/fake_server.py`). First without interruption, under a limit on requests a second, one on requests at
once and one on tokens a second; then under the first limit and killed (SIGKILL) at random moments, each time resumed.

- `throughput_fraction`: of what the limit let through from the first request to the last answer, its burst included, so
  much was answered; the smallest of the three.
- `lost_records`: pairs of the run without kills that are not the same in the run with kills, and units that were on
  the disk at a kill and are not there in the end.
- `repeated_calls`: requests that were answered whole, once more after a kill, though the first answer was in the cache
  at that kill or had been sent more than `WINDOW` seconds before. Answers that were sent less than that before a kill
  and had not been written yet are counted in `under_way_at_kills`, those that were sent to a process that had been
  killed and was not gone yet in `sent_after_kills`: nobody can keep them.
"""
