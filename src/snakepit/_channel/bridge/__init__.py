"""The channel to a foreign server that speaks `snakepit.bridge.BridgeService` (`protocol="bridge"`). Needs grpcio and protobuf.

    host ═ frames ═► carrier ─► calls, events ─► RPCs ─► server
      ▲                 ▲
      └═ frames ════════┴── service: what the server dials back: host tools, registrations, beats

To everything above it is a worker like any other.
"""
