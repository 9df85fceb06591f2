"""Tools that do everything wrong that can be done with a secret."""

import base64
import json
import os
import sys
import time

from snakepit_bridge import BaseAdapter, tool


class Leaking(BaseAdapter):
    @tool
    def spread(self, password: str, config: dict):
        """Prints its secrets in every form, to both outputs."""
        raw = password.encode()
        for out in (sys.stdout, sys.stderr):
            print("plain", password, "and", config["db"]["api_key"], file=out)
            print("reprs", repr(password), raw, repr({"x": [password]}), json.dumps(config), config, file=out)
            for shift in range(3):
                print("base64", base64.b64encode(b"x" * shift + raw + b"y").decode(), file=out)
            print("hex", raw.hex(), file=out)
            print("variables", os.environ["CANARY_TOKEN"], os.environ["WORKER_PASSWORD"], file=out)
            print(f"password={password} token: {password}", file=out, flush=True)
        return {"password": password}

    @tool
    def say_session(self):
        """Prints its session's metadata, and keeps a secret in the state."""
        print("session", self.session.metadata["password"], dict(self.session.metadata))
        self.session.state["password"] = self.session.metadata["password"]

    @tool
    def login(self, name: str, password: str):
        """Hands a secret to a host tool, and gets one back."""
        return self.host_tools[name](password=password)

    @tool
    def tell_and_crash(self, password: str):
        """Prints it at the end of a line of both outputs, and dies."""
        for out in (sys.stdout, sys.stderr):
            print("pw is", password, file=out)
            print("next line", file=out, flush=True)
        os.abort()

    @tool
    def cut(self, password: str, pause: float, between: str = ""):
        """Prints it in two writes."""
        half = len(password) // 2
        for fd in (1, 2):
            os.write(fd, b"known " + password[:half].encode())
            time.sleep(pause)
            os.write(fd, between.encode() + password[half:].encode() + b" rest\n")

    @tool
    def cut_unknown(self, text: str, pause: float):
        """Prints a secret that only its name tells, in two writes."""
        for fd in (1, 2):
            os.write(fd, b"password=" + text[:8].encode())
            time.sleep(pause)
            os.write(fd, text[8:].encode() + b" rest\n")

    @tool
    def long_line(self, password: str, offset: int):
        """Prints it where a long line is cut."""
        os.write(1, b"x" * offset + password.encode() + b"y" * 70_000 + b"\n")

    @tool
    def fail(self, password: str, config: dict):
        """Raises with it in the message, in the cause, and as a key."""
        try:
            raise KeyError(config["db"]["api_key"])
        except KeyError as error:
            raise ValueError(f"{password} was refused; {config}", {password: 1}, password.encode()) from error

    @tool
    def crash(self, password: str, config: dict):
        """Dies with it on its lips."""
        print("the last word is", password, config, file=sys.stderr, flush=True)
        os.abort()

    @tool
    def numbers(self, token: int, count: int):
        return count

    @tool
    def stream(self, password: str):
        for _ in range(3):
            print("chunk", password)
            yield {"password": password}
