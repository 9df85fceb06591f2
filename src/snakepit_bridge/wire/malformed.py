"""The error of whatever reads what has come."""


class Malformed(Exception):
    """These bytes are not what the codec writes."""
