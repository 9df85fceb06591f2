"""Layer 4: carries frames between this process and one worker. Knows nothing of pools, tools or processes.

Connection (multiplexer, one reader task, one writer task) ─► Carrier (grpc_carrier)
"""
