"""The results document of a run, read one command at a time.

A document can be larger than memory, since it holds the answer of every agent of a
fleet. Therefore it is read twice: first to make sure that it is complete before
anything leaves this machine, then to deliver its commands. Agents are not trusted:
whatever one of them answers, the answers of the others are delivered, and its own
answer is shown as far as it can be read.

This file is not a plugin; jsonl and mozdef need it in the same folder.
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
    """A results document that was read to its end and is complete."""

    def __init__(self, file):
        self._file = _seekable(file)
        members = {}
        for key, value in self._read():
            if key != "commands":
                members[key] = value
        if not isinstance(members.get("action"), dict):
            raise Fault("stdin is not a results document: it has no action")
        self.action = members["action"]
        # The runner's environment takes precedence: the document only repeats it.
        self.job = os.environ.get("MIG_JOB") or text_of(members, "name")
        self.run = os.environ.get("MIG_RUN", "")
        attempt = os.environ.get("MIG_ATTEMPT", "")
        self.attempt = int(attempt) if attempt.isdigit() else None

    def commands(self):
        """Yields the commands; a command that cannot be read is Unreadable."""
        for key, value in self._read():
            if key == "commands":
                is_command = isinstance(value, (dict, Unreadable))
                yield value if is_command else Unreadable("the command is not a JSON object")

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
            # The original writes null if nothing was fetched.
            if key != "commands" or value is not None:
                yield key, value
        if reader.peek():
            raise Fault("the results document has data after its end")


def _seekable(file):
    """Returns the file, or a copy of it if it can be read only once, like a pipe."""
    if file.isatty():
        raise Fault("a results document is expected on stdin: see --help")
    if file.seekable():
        return file
    copy = tempfile.TemporaryFile()
    for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
        copy.write(chunk)
    return copy


def pick(value, *path):
    """Returns the value at a path of keys, or None if the path does not exist."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_of(value, *path):
    """Returns the text at a path of keys; an empty one if there is none."""
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
    """Returns the keys and values of the object at a path; an empty list if there is none."""
    found = pick(value, *path)
    return list(found.items()) if isinstance(found, dict) else []


def number_of(value, *path):
    """Returns the number at a path of keys, as an int if possible; None if there is none."""
    found = pick(value, *path)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return int(found) if abs(found) < 1e18 and found == int(found) else found


# Findings

Finding = collections.namedtuple("Finding", "operation module label subject element")
Finding.__doc__ = """A single finding of an agent.

`operation` is the index of the operation in the action, `label` the action's name
for the search, `subject` the value searched for, `element` the module's result.
"""


def operations(action, command):
    """Returns the operations of a command: its own copy, or else the action's."""
    return items_of(command, "action", "operations") or items_of(action, "operations")


def findings(action, command):
    """Yields the findings of a command."""
    sent = operations(action, command)
    for index, result in enumerate(items_of(command, "results")):
        module = text_of(sent[index], "module") if index < len(sent) else ""
        elements = pick(result, "elements")
        found = _ELEMENTS.get(module, _no_elements)(elements)
        empty = True
        for label, subject, element in found:
            empty = False
            yield Finding(index, module, label, subject, shallow(element))
        # An unknown module, or a known one with unknown results.
        if empty and pick(result, "foundanything") is True:
            yield Finding(index, module, "", "", shallow(elements))


def _file_elements(elements):
    for label, entries in entries_of(elements):
        for entry in items_of(entries):
            # An entry without a file means that nothing was found.
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
    """Returns the errors that the modules of a command report."""
    if isinstance(command, Unreadable):
        return [command.why]
    return [text for result in items_of(command, "results") for text in texts_of(result, "errors")]


class Ids:
    """Creates event ids for a command that are the same in every delivery.

    An id depends on the action, the command, the operation and the finding. Events
    that are equal in all of these are numbered.
    """

    def __init__(self, kind, action, command, position):
        # A command whose id cannot be read is identified by its position in the document.
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
    """Returns the first real time; the platform writes the years 1, 9 and 9998 for "none"."""
    for text in candidates:
        found = _MOMENT.fullmatch(text)
        if found and 1970 <= int(found.group(1)) < 9000:
            return text
    return ""


class Summary:
    """The counters of a run."""

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
        """Returns the counters by name, and those of the statuses."""
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
