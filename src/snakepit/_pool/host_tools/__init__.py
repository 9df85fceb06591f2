"""Functions of the application that tools call: which there are, and running them.

worker ─ HOST_CALL ─► Engine.worker_event ─► HostTools.begin ─┬─► a task on the loop        (async)
                                                              └─► HostThreads, by depth     (sync)
worker ◄─ CHUNK, RESULT, ERROR ◄─────────────── Run ◄─────────┘
"""
