"""The figures this project promises, measured on the machine at hand: `python -m benchmarks [--quick] [--only NAME]`.

    __main__     arguments, what is printed and written
    suite/       this project beside its peers, scenario by scenario: RESULTS.md
    peers/       those who play there, each in a process and an environment of its own
    scenarios/   what only this project has, a module each, beside a baseline or a bar; asked for by name

    report, contest, plain_grpc, observe, faces, tools   rows; contestants in processes; the baseline; what a process holds;
                                                         what several scenarios share; what runs in workers

Contestants play in turn, round after round, so that a busy machine slows all of them: read the ratios. README.md says more.
"""
