"""Stubs of the public service `snakepit.bridge.BridgeService`, made from `proto/` by `make proto-python`; never edited.

Importing this package needs nothing; importing `snakepit_pb2` needs protobuf, and `snakepit_pb2_grpc` needs grpcio.
"""
