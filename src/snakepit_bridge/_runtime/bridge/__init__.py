"""The public service `snakepit.bridge.BridgeService` in a worker, as a Snakepit host expects it. Needs grpcio and protobuf.

    host ─► server (a loop on its thread) ─► service ─► local_host ═ frames ═► executor ─► tool
      ▲                                                                          │
      └────── host: sessions, registrations, host tools, beats ◄────────────────┘

`bridge_program` starts it.
"""
