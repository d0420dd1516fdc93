"""JSON that others wrote: read a value at a time, and written so that everybody reads it.

The reader holds one value in memory and finds the end of one that it does not
understand, however deep or odd it is, so that the next ones can be read.

This is no plugin itself; jsonl and mozdef need it beside them.
"""

import codecs
import json
import math
import re

from mig_plugin import Fault

CHUNK_BYTES = 1 << 20
# Larger than anything that the platform takes from an agent.
VALUE_CHARS_MAX = 1 << 28
# Other programs read JSON that is nested some hundred levels, and index some twenty.
DEPTH_MAX = 32


def _whole(text):
    # Nobody downstream counts further, and the time for endless digits grows with their square.
    return int(text) if len(text) < 20 else text


def _fraction(text):
    number = float(text)
    return number if math.isfinite(number) else text


_DECODER = json.JSONDecoder(
    strict=False, parse_int=_whole, parse_float=_fraction, parse_constant=str
)
_BLANKS = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s\[\]{},:\"]*")
# A string, or a bracket; a quote alone begins a string whose end was not read yet.
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"|"', re.DOTALL)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NOT_ASCII = re.compile(r"[^ -~]")


def to_json(value):
    """Returns a value as JSON that every reader takes: a line of ASCII, without half characters."""
    return _NOT_ASCII.sub(_escaped, _ENCODER.encode(value))


def _escaped(found):
    character = found.group()
    is_half = "\ud800" <= character <= "\udfff"
    return "\\ufffd" if is_half else json.dumps(character)[1:-1]


class Unreadable:
    """A value that stands where one is expected, but cannot be understood."""

    def __init__(self, why):
        self.why = why


class Reader:
    """Reads the values of a JSON text one after the other; only one is in memory."""

    def __init__(self, file):
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self):
        """Returns the next character that is no blank, or nothing at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted):
        """Takes a character that must come next."""
        found = self.peek()
        if found != wanted:
            what = "%r" % found if found else "its end"
            raise Fault("the results document is not whole: %s where %r should be" % (what, wanted))
        self._at += 1

    def value(self):
        """Takes the next value."""
        self.peek()
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            end = len(self._text)
        # What ends where the text does may go on in what was not read yet.
        if end < len(self._text):
            self._at = end
            return value
        text = self._raw()
        try:
            return _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            return Unreadable(str(error))

    def items(self):
        """Takes the next array and yields its values."""
        self.take("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() != "]":
                self.take(",")
        self.take("]")

    def members(self):
        """Takes the next object and yields its keys; the caller takes each value."""
        self.take("{")
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise Fault("the results document is not whole: a key is missing")
            yield key
            if self.peek() != "}":
                self.take(",")
        self.take("}")

    def _raw(self):
        """Takes the text of the next value, however deep, without looking into it."""
        length = depth = 0
        if self.peek() not in ("{", "[", '"'):
            while _SCALAR.match(self._text, self._at).end() == len(self._text):
                if not self._more():
                    break
            length = _SCALAR.match(self._text, self._at).end() - self._at
            if not length:
                raise Fault("the results document is not whole: a value is missing")
            return self._cut(length)
        while True:
            token = _TOKEN.search(self._text, self._at + length)
            if token is None or token.group() == '"':
                length = (token.start() if token else len(self._text)) - self._at
                if len(self._text) - self._at > VALUE_CHARS_MAX:
                    raise Fault("the results document holds a value that is too long to be one")
                if not self._more():
                    raise Fault("the results document is not whole: it ends within a value")
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
        """Reads on and lets go of what was taken; tells whether there was more to read."""
        if self._ended:
            return False
        left = self._text[self._at :]
        # As much again as is there, so that a long value is not looked at too often.
        chunk = self._file.read(max(CHUNK_BYTES, len(left)))
        self._ended = not chunk
        self._text = left + self._decode(chunk, self._ended)
        self._at = 0
        return True


def shallow(value):
    """Returns a value, unless it is nested more deeply than other programs read JSON."""
    return value if _is_shallow(value, DEPTH_MAX) else "nested too deeply"


def _is_shallow(value, levels):
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in inner)
