"""Memory that a host and its worker on the same machine both see: what is large is copied into it once, and read where it lies.

    sender: Arena ─ lease ─► row ═══ channel ═══► row ─ Views ─► read-only view ... dies ─► number ═══► sender: take_back

Segments are memory files without a name (`memfd_create`), which the other side opens by its owner's entry in /proc: nothing of them is
left when both processes are gone, however that happened, and the size of /dev/shm does not matter. They are used again and again, as
fresh memory costs seven times as much to fill (3 GB/s against 20, measured). Linux alone has all of this. Standard library alone.
"""
