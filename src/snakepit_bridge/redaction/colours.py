"""Colours of a terminal, and its other codes: taken out of a text before secrets are looked for, and put back into what is shown of it."""

import re
from typing import List, Tuple

#: What ECMA-48 calls a control sequence: parameters, intermediate characters, a final one.
_CODE = re.compile(r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]")

#: A code, and how many characters of the plain text stand before it.
Codes = List[Tuple[int, str]]


def without_colours(text: str) -> Tuple[str, Codes]:
    """The plain text, and the codes that stood in it."""
    codes: Codes = []
    parts, at, size = [], 0, 0
    for found in _CODE.finditer(text):
        parts.append(text[at : found.start()])
        size += found.start() - at
        codes.append((size, found.group()))
        at = found.end()
    return "".join([*parts, text[at:]]), codes


def with_colours(masked: str, codes: Codes, plain: str, mask: str) -> str:
    """The masked text with its codes; those inside of a secret come behind its mask.

    Where a piece that stays is found too early in the plain text, a code is misplaced, but nothing that is masked comes back.
    """
    parts, at, next_code = [], 0, 0
    pieces = masked.split(mask)
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        begin = max(at, len(plain) - len(piece)) if last else max(at, plain.find(piece, at))
        while next_code < len(codes) and codes[next_code][0] < begin:  # of what is masked
            parts.append(codes[next_code][1])
            next_code += 1
        shown = begin
        while next_code < len(codes) and codes[next_code][0] <= begin + len(piece):
            place, code = codes[next_code]
            parts += [piece[shown - begin : place - begin], code]
            shown, next_code = place, next_code + 1
        parts.append(piece[shown - begin :] + ("" if last else mask))
        at = begin + len(piece)
    return "".join([*parts, *(code for _, code in codes[next_code:])])
