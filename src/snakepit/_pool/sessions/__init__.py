"""A pool's sessions at the host: who holds which, which are lost, and the store they are kept in.

    Engine.submit ─► Keeper.admit ─► StoreAccess ─► a store of `snakepit._sessions`
                        │
                      Entry: what this pool knows of one session

The scheduler decides where a session's calls run; here it is decided whether they may, and what the worker is told.
"""
