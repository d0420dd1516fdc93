"""JSON from other programs, read one value at a time, and written so that all programs read it.

The reader holds one value in memory. It finds the end of a value that it cannot
decode, however deep or odd, so that the values after it can be read.

This file is not a plugin; jsonl and mozdef need it in the same folder.
"""

import codecs
import json
import math
import re

from mig_plugin import Fault

CHUNK_BYTES = 1 << 20
# Larger than any result that the platform accepts from an agent.
VALUE_CHARS_MAX = 1 << 28
# Other programs read JSON that is nested some hundred levels deep, and index about twenty.
DEPTH_MAX = 32


def _whole(text):
    # No receiver handles larger numbers, and decoding time grows with the square of the digits.
    return int(text) if len(text) < 20 else text


def _fraction(text):
    number = float(text)
    return number if math.isfinite(number) else text


_DECODER = json.JSONDecoder(
    strict=False, parse_int=_whole, parse_float=_fraction, parse_constant=str
)
_BLANKS = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s\[\]{},:\"]*")
# A string or a bracket; a single quote character begins a string whose end was not read yet.
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"|"', re.DOTALL)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NOT_ASCII = re.compile(r"[^ -~]")


def to_json(value):
    """Returns a value as JSON for every reader: a line of ASCII without unpaired surrogates."""
    return _NOT_ASCII.sub(_escaped, _ENCODER.encode(value))


def _escaped(found):
    character = found.group()
    is_half = "\ud800" <= character <= "\udfff"
    return "\\ufffd" if is_half else json.dumps(character)[1:-1]


class Unreadable:
    """A value that cannot be decoded, with the reason."""

    def __init__(self, why):
        self.why = why


class Reader:
    """Reads the values of a JSON text one after the other; only one of them is in memory."""

    def __init__(self, file):
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self):
        """Returns the next character that is not white space, or nothing at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted):
        """Consumes a character that must come next."""
        found = self.peek()
        if found != wanted:
            what = "%r" % found if found else "its end"
            raise Fault("the results document is incomplete: %s instead of %r" % (what, wanted))
        self._at += 1

    def value(self):
        """Consumes and returns the next value."""
        self.peek()
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            end = len(self._text)
        # A value that ends with the buffer may continue in text that was not read yet.
        if end < len(self._text):
            self._at = end
            return value
        text = self._raw()
        try:
            return _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            return Unreadable(str(error))

    def items(self):
        """Consumes the next array and yields its values."""
        self.take("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() != "]":
                self.take(",")
        self.take("]")

    def members(self):
        """Consumes the next object and yields its keys; the caller consumes each value."""
        self.take("{")
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise Fault("the results document is incomplete: a key is missing")
            yield key
            if self.peek() != "}":
                self.take(",")
        self.take("}")

    def _raw(self):
        """Consumes the text of the next value, however deep, without decoding it."""
        length = depth = 0
        if self.peek() not in ("{", "[", '"'):
            while _SCALAR.match(self._text, self._at).end() == len(self._text):
                if not self._more():
                    break
            length = _SCALAR.match(self._text, self._at).end() - self._at
            if not length:
                raise Fault("the results document is incomplete: a value is missing")
            return self._cut(length)
        while True:
            token = _TOKEN.search(self._text, self._at + length)
            if token is None or token.group() == '"':
                length = (token.start() if token else len(self._text)) - self._at
                if len(self._text) - self._at > VALUE_CHARS_MAX:
                    raise Fault("the results document has a value that is too long")
                if not self._more():
                    raise Fault("the results document is incomplete: it ends within a value")
                continue
            length = token.end() - self._at
            if token.group() in "{[":
                depth += 1
            elif token.group() in "}]":
                depth -= 1
            if depth == 0:
                return self._cut(length)

    def _cut(self, length):
        text = self._text[self._at : self._at + length]
        self._at += length
        return text

    def _more(self):
        """Reads more text and drops the consumed text; returns whether there may be more."""
        if self._ended:
            return False
        left = self._text[self._at :]
        # Reads as much as is buffered already, so that long values are scanned few times.
        chunk = self._file.read(max(CHUNK_BYTES, len(left)))
        self._ended = not chunk
        self._text = left + self._decode(chunk, self._ended)
        self._at = 0
        return True


def shallow(value):
    """Returns a value, or a note if it is nested too deeply for other programs."""
    return value if _is_shallow(value, DEPTH_MAX) else "nested too deeply"


def _is_shallow(value, levels):
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in inner)
