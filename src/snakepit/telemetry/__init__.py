"""What can be seen of calls from outside: log lines and spans."""
