"""What a user would pick, side by side: each scenario is played by this project and its peers in turn.

scenarios  what is played, and by whom      rounds   plays it
results    medians, ratios, losses          bars     what is promised, beside what was measured
page       RESULTS.md                       charts   the same as pictures
"""
