"""What every plugin of mig-runner needs: exit status, messages, settings.

This file is not a plugin; jsonl and mozdef need it in the same folder.
"""

import difflib
import os
import re
import sys

EXCERPT_CHARS_MAX = 200
SETTINGS_BYTES_MAX = 1 << 20
# EX_TEMPFAIL of sysexits.h: mig-runner tries again later and does not call it a failure.
EXIT_TRY_LATER = 75


class Fault(Exception):
    """An error that prevents the delivery; the text is for the operator."""

    status = 1


class TryLater(Fault):
    """An error that may disappear without a repair."""

    status = EXIT_TRY_LATER


def run(deliver):
    """Runs a plugin and returns its exit status; errors are printed on stderr."""
    try:
        deliver()
        return 0
    except Fault as fault:
        for line in str(fault).splitlines():
            say(line)
        return fault.status
    except OSError as error:
        say(str(error))
        return Fault.status


def say(text):
    """Prints a line on stderr, which mig-runner writes to its log."""
    name = os.path.basename(sys.argv[0])
    print("%s: %s" % (name, text), file=sys.stderr, flush=True)


def directory():
    """Returns the runner's directory, which contains the plugins folder."""
    return os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))


def excerpt(text):
    """Returns the beginning of a text from another program, escaped for a log."""
    shown = text[:EXCERPT_CHARS_MAX].encode("unicode_escape").decode("ascii")
    return shown + ("..." if len(text) > EXCERPT_CHARS_MAX else "")


# Settings, in the git-config dialect of mig-runner's own files

_HEADER = re.compile(r"\[\s*([A-Za-z][A-Za-z0-9-]*)\s*\]\s*(?:[;#].*)?")
_VARIABLE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*(?:=(.*)|[;#].*)?", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


class Settings:
    """The settings in a file, each with its line number."""

    def __init__(self, path, known):
        """Reads a file, which may be missing; `known` lists the keys of each section."""
        self.path = path
        self._values = {}
        self._faults = []
        section = None
        for number, line in enumerate(self._lines(), 1):
            line = line.strip(" \t\r")
            if not line or line[0] in ";#":
                continue
            try:
                section = self._take(number, line, section, known)
            except ValueError as error:
                self._faults.append((number, str(error)))

    def get(self, section, key, default, parse=str):
        """Returns the value of a key; `parse` raises ValueError for an invalid value."""
        if (section, key) not in self._values:
            return default
        number, text = self._values[section, key]
        try:
            return parse(text)
        except ValueError as error:
            self._faults.append((number, "%s: %s" % (key, error)))
            return default

    def check(self):
        """Raises all faults found; to be called after the last get."""
        if self._faults:
            faults = sorted(self._faults, key=lambda fault: fault[0])
            raise Fault("\n".join("%s:%d: %s" % (self.path, *fault) for fault in faults))

    def _lines(self):
        try:
            with open(self.path, "rb") as file:
                data = file.read(SETTINGS_BYTES_MAX + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Fault("cannot read %s: %s" % (self.path, error.strerror)) from error
        if len(data) > SETTINGS_BYTES_MAX:
            raise Fault("%s is too large for a configuration file" % self.path)
        try:
            return data.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            number = data[: error.start].count(b"\n") + 1
            raise Fault("%s:%d: invalid UTF-8" % (self.path, number)) from error

    def _take(self, number, line, section, known):
        if line.startswith("["):
            header = _HEADER.fullmatch(line)
            if not header:
                raise ValueError("not a section: write [section]")
            name = header.group(1).lower()
            if name not in known:
                self._faults.append((number, _unknown("section", name, known)))
            return name
        variable = _VARIABLE.fullmatch(line)
        if not variable:
            raise ValueError("not a setting: write key = value")
        key = variable.group(1).lower()
        if section is None:
            raise ValueError("%s is outside any section: write [section] above it" % key)
        if section in known:
            if key not in known[section]:
                raise ValueError(_unknown("key", key, known[section]))
            text = variable.group(2)
            value = "on" if text is None else _unquoted(text.strip(" \t"))
            self._values[section, key] = (number, value)
        return section


def _unknown(what, name, known):
    near = difflib.get_close_matches(name, known, 1)
    hint = near[0] if near else ", ".join(known)
    return "unknown %s %s: did you mean %s?" % (what, name, hint)


def _unquoted(text):
    value, blanks, at = "", "", 0
    while at < len(text) and text[at] not in ";#":
        if text[at] == "\\":
            raise ValueError("a backslash outside quotes: put the value in quotes")
        if text[at] == '"':
            quoted = _QUOTED.match(text, at)
            if not quoted:
                raise ValueError("the closing quote is missing")
            value += blanks + re.sub(r"\\(.)", _escaped, quoted.group(1))
            blanks, at = "", quoted.end()
        elif text[at] in " \t":
            blanks, at = blanks + text[at], at + 1
        else:
            value, blanks, at = value + blanks + text[at], "", at + 1
    return value


def _escaped(found):
    if found.group(1) not in _ESCAPES:
        raise ValueError('unknown escape %s: known are \\" \\\\ \\n \\t' % found.group())
    return _ESCAPES[found.group(1)]


def choice(*known):
    """Returns a parser that accepts one of several words."""

    def parse(text):
        if text.lower() not in known:
            raise ValueError("%s is not one of %s" % (excerpt(text), ", ".join(known)))
        return text.lower()

    return parse


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
    """Parses a duration such as 30s or 1m30s, longer than zero and at most a day."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text, re.ASCII)
    total = sum(float(count) * _UNITS[unit] for count, unit in parts)
    if "".join(count + unit for count, unit in parts) != text or not 0 < total <= 86400:
        raise ValueError("%s is not a duration up to a day: write 30s or 1m30s" % excerpt(text))
    return total
