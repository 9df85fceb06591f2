"""Layer 2: who is served next. Queue, scheduler, deadlines, the tools that workers offer, the figures.

    Engine.submit(call) ─► Scheduler (pure: who serves it) ─► Worker.connection.call
          ▲                                                        │
     call.mailbox ◄─── Engine.worker_event ◄──── chunks, results ◄─┘

The Engine does what the pure parts decide; it lives on one event loop and is entered from it only.
"""
