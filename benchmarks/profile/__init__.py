"""Where a call's microseconds go: what a path through the library costs per call, at the host and at its workers apart.

`python -m benchmarks.profile PATH` opens the path in a process of its own (`play`), looks at that process and at its workers
from outside before and after a number of calls, and writes the difference, divided by the calls: nothing of the start is in it.
"""
