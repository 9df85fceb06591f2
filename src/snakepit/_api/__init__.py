"""Layer 1: what callers hold. `AsyncPool` is the core, `Pool` the same without `await`; both drive one `Engine`.

pool.stream("train", {...}) ─► check the arguments ─► Engine.submit ─► Stream, reading the call's mailbox
"""
