"""Inside a worker process: from a frame that asks for a call to the tool, and back.

    carrier (grpc_server) ══► Link ──► Executor ──► tool        the I/O thread reads and writes, the main thread runs tools
                          ◄══      ◄── streams  ◄──

A carrier moves messages, the Link holds the multiplexer and its lock, the Executor decides what runs, `calls` and
`streams` run one call, `cancel` interrupts it. In the thread profile tools run on `tool_threads`, and `cancel_threads` interrupts.
"""
