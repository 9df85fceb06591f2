"""Adapters that come with the worker SDK. `showcase` is the one a worker serves when it is given none."""
