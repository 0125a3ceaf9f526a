"""What may be said on a terminal: the last guard, whatever an error or a library puts into its text."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

IN_ADDRESS: Final = re.compile(r"""(\w:/{1,3}[^\s:/@'"]*):(?:[^/\n]*+/\S*@|[^/\n]*@)""")
IN_OPTIONS: Final = re.compile(r"""(?i)(pass|passwd|password|pwd)=[^\s&'"]+""")


def one_line(text: str) -> str:
    """The text in one line, without control characters, by which a file could play with the terminal."""
    return "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cs") else "?"
        for letter in " ".join(text.split())
    )


def without_passwords(text: str) -> str:
    """The text with `***` for what stands where addresses have their passwords."""
    return IN_OPTIONS.sub(r"\1=***", IN_ADDRESS.sub(r"\1:***@", text))
