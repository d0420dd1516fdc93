"""What was found: the results document of a run, read a command at a time.

A document can be larger than memory: it holds the answer of every agent of a
fleet. So it is read twice. The first reading makes sure that it is whole before
anything leaves this machine; the second hands out its commands. Agents are not
trusted: whatever one of them answers, the answers of the others are delivered,
and its own is shown as far as it can be read.

This is no plugin itself; jsonl and mozdef need it beside them.
"""

import collections
import hashlib
import json
import os
import re
import tempfile

from mig_json import CHUNK_BYTES, Reader, Unreadable, shallow
from mig_plugin import Fault


class Document:
    """A results document that was found to be whole."""

    def __init__(self, file):
        self._file = _seekable(file)
        members = {}
        for key, value in self._read():
            if key != "commands":
                members[key] = value
        if not isinstance(members.get("action"), dict):
            raise Fault("this is no results document: it has no action")
        self.action = members["action"]
        # The runner's own words first: in the document they are an echo.
        self.job = os.environ.get("MIG_JOB") or text_of(members, "name")
        self.run = os.environ.get("MIG_RUN", "")
        attempt = os.environ.get("MIG_ATTEMPT", "")
        self.attempt = int(attempt) if attempt.isdigit() else None

    def commands(self):
        """Yields the commands; one that cannot be read is Unreadable."""
        for key, value in self._read():
            if key == "commands":
                is_command = isinstance(value, (dict, Unreadable))
                yield value if is_command else Unreadable("a command that is no object")

    def _read(self):
        self._file.seek(0)
        reader = Reader(self._file)
        for key in reader.members():
            reader.take(":")
            if key == "commands" and reader.peek() == "[":
                for command in reader.items():
                    yield key, command
                continue
            value = reader.value()
            # The original writes null where nothing was fetched.
            if key != "commands" or value is not None:
                yield key, value
        if reader.peek():
            raise Fault("the results document goes on after its end")


def _seekable(file):
    """Returns the file, or a copy of it if it can only be read once, as a pipe."""
    if file.isatty():
        raise Fault("a results document is expected on stdin: see --help")
    if file.seekable():
        return file
    copy = tempfile.TemporaryFile()
    for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
        copy.write(chunk)
    return copy


def pick(value, *path):
    """Returns what stands at a path of keys, or None where there is no such path."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_of(value, *path):
    """Returns the text at a path of keys; nothing if there is none."""
    found = pick(value, *path)
    return found if isinstance(found, str) else ""


def items_of(value, *path):
    """Returns the list at a path of keys; an empty one if there is none."""
    found = pick(value, *path)
    return found if isinstance(found, list) else []


def texts_of(value, *path):
    """Returns the texts of the list at a path of keys."""
    return [text for text in items_of(value, *path) if isinstance(text, str)]


def entries_of(value, *path):
    """Returns the keys and values of the object at a path; none if there is none."""
    found = pick(value, *path)
    return list(found.items()) if isinstance(found, dict) else []


def number_of(value, *path):
    """Returns the number at a path of keys, whole if it can be; None if there is none."""
    found = pick(value, *path)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return int(found) if abs(found) < 1e18 and found == int(found) else found


# What was found

Finding = collections.namedtuple("Finding", "operation module label subject element")
Finding.__doc__ = """One thing that an agent found.

`operation` is the index of the operation that asked for it, `label` what the
action calls it, `subject` what was searched for, `element` what the module says.
"""


def operations(action, command):
    """Returns what an agent was asked: the command's own copy, or else the action's."""
    return items_of(command, "action", "operations") or items_of(action, "operations")


def findings(action, command):
    """Yields what the agent of a command found."""
    asked = operations(action, command)
    for index, result in enumerate(items_of(command, "results")):
        module = text_of(asked[index], "module") if index < len(asked) else ""
        elements = pick(result, "elements")
        found = _ELEMENTS.get(module, _no_elements)(elements)
        empty = True
        for label, subject, element in found:
            empty = False
            yield Finding(index, module, label, subject, shallow(element))
        # A module that is not known here, or that speaks in a way that is not.
        if empty and pick(result, "foundanything") is True:
            yield Finding(index, module, "", "", shallow(elements))


def _file_elements(elements):
    for label, entries in entries_of(elements):
        for entry in items_of(entries):
            # An entry without a file says that nothing was found.
            if text_of(entry, "file"):
                yield label, "", entry


def _pkg_elements(elements):
    for package in items_of(elements, "packages"):
        yield "packages", "", package


def _netstat_elements(elements):
    for kind, searched in entries_of(elements):
        for subject, found in entries_of(searched):
            for element in items_of(found):
                yield kind, subject, element


def _no_elements(_elements):
    return ()


_ELEMENTS = {"file": _file_elements, "pkg": _pkg_elements, "netstat": _netstat_elements}


def errors(command):
    """Returns what the modules of a command complain about."""
    if isinstance(command, Unreadable):
        return [command.why]
    return [text for result in items_of(command, "results") for text in texts_of(result, "errors")]


class Ids:
    """Gives each event of a command an id that is the same whenever it is delivered.

    It is made of what identifies the event: the action, the command, the
    operation, what was found. What comes more than once is counted.
    """

    def __init__(self, kind, action, command, position):
        # A command whose id cannot be read is known by its place in the document.
        known = number_of(command, "id")
        self._scope = [kind, number_of(action, "id"), position if known is None else str(known)]
        self._seen = collections.Counter()

    def id(self, *parts):
        """Returns the id of an event."""
        name = _hash(self._scope, parts)
        self._seen[name] += 1
        return name if self._seen[name] == 1 else _hash(name, self._seen[name])


def _hash(*parts):
    text = _SORTED.encode(parts).encode("ascii")
    return hashlib.sha256(text).hexdigest()[:32]


_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_MOMENT = re.compile(r"(\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def moment(*candidates):
    """Returns the first that is a real time; the platform writes years 1, 9 and 9998 for none."""
    for text in candidates:
        found = _MOMENT.fullmatch(text)
        if found and 1970 <= int(found.group(1)) < 9000:
            return text
    return ""


class Summary:
    """What the commands of a run came to."""

    def __init__(self):
        self.commands = self.found = self.findings = self.errors = 0
        self.statuses = collections.Counter()

    def add(self, command, found):
        """Counts a command and the number of its findings."""
        self.commands += 1
        self.statuses[status(command)] += 1
        self.found += found > 0
        self.findings += found
        self.errors += bool(errors(command))

    def counts(self):
        """Returns the counters by name, the statuses among them."""
        return {
            "commands": self.commands,
            "found": self.found,
            "findings": self.findings,
            "errors": self.errors,
            "statuses": dict(sorted(self.statuses.items())),
        }


def status(command):
    """Returns the status of a command: success, failed, timeout, cancelled, expired or sent."""
    if isinstance(command, Unreadable):
        return "unreadable"
    return text_of(command, "status") or "unknown"
