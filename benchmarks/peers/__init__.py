"""What a user would take instead, each played in an environment and a process of its own.

    environments  what each needs, and where its Python is     peer       the process, as this side sees it
    run           the program in that process                  player     the scenarios, timed alike for all
    work          what the workers are asked to do             processes  who is a child of whom, and what memory they hold
    our_tools     the same as tools of an adapter              sampler    the most memory that was held for a while

ours and ours_async are the players of this project, in its own environment; there is a module for each peer, which runs where neither
snakepit nor its dependencies are. Nothing is imported here: each worker
that a peer starts imports this package, and would pay for it.
"""
