"""The figures this project promises, measured on the machine at hand: `python -m benchmarks [--quick] [--only NAME]`.

    __main__     arguments, order, table          contest     one contestant per process, rounds in turn
    scenarios/   what is measured, a module each  plain_grpc  the baseline: grpc.aio as its manual shows it
    report       rows, bars, how they read        observe     memory, threads, descriptors, tasks
    peers/       what a user would take instead

Contestants play in turn (ours, baseline, ours, baseline, ...), so that a busy machine slows both: read the ratios.
"""
