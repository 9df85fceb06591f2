"""Layer 3: keeps workers alive. Starts processes, opens their channels, learns of their end, starts others.

    Supervisor ─► Worker ─► Launcher (how a process comes to be) and Connection (how it is talked to)

News goes up through the callbacks given at construction: ready, event, lost, broken.
"""
