"""How values, chunks and errors look on the public service `snakepit.bridge.BridgeService`, for both who serve and who call it.

No I/O, and no runtime: `parameters` and `results` are each other's counterparts, `plain` is what JSON makes of anything,
`failures` the errors. Wire-compatible with Snakepit 0.13.
"""
