"""HTTP posts that say what became of them.

Every answer is judged by its status, every request is bounded in time, TLS is
verified, a redirect is not followed: what was posted somewhere else than where
it was to go would count as delivered.

This is no plugin itself; mozdef needs it beside it.
"""

import base64
import contextlib
import http.client
import json
import signal
import socket
import ssl
import urllib.parse
import urllib.request

from mig_plugin import Fault, TryLater, excerpt

ANSWER_BYTES_MAX = 1 << 16
# What one item of a bulk may add to the answer: its error quotes the field that it is about.
ITEM_BYTES_MAX = 1 << 14
# The fault of what was posted; something else may be taken.
REFUSED = (400, 413, 422)
# What passes by itself, beside everything from 500 on.
PASSING = (408, 425, 429)


def address(text):
    """Parses a URL."""
    url = urllib.parse.urlsplit(text)
    # What is wrong with a URL is not repeated: it may hold a password.
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("this is no URL: write http://HOST:PORT/PATH or https://...")
    if any(not "!" <= c <= "~" for c in text):
        raise ValueError("this URL has blanks or other characters that are to be written as %XX")
    try:
        url.port
    except ValueError:
        raise ValueError("the port of this URL is no number up to 65535") from None
    return url


def proxy_address(text):
    """Parses the URL of a proxy, which itself is spoken to without TLS."""
    url = address(text)
    if url.scheme != "http":
        raise ValueError("this is no proxy: write http://HOST:PORT")
    return url


class Refusal(Exception):
    """What was posted is not what the server takes."""


class Connection:
    """A connection that is kept open from one request to the next."""

    def __init__(self, url, timeout, cacert=None, proxy=None):
        """Prepares a connection; the first request opens it."""
        self._timeout = timeout
        self._url = url
        # Without user and password: for messages, and for a proxy.
        host = url.netloc.rsplit("@", 1)[-1]
        self._shown = "%s://%s%s" % (url.scheme, host, url.path or "/")
        self._target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        self._headers = {"Content-Type": "application/json", "Host": host}
        self._headers.update(credentials("Authorization", url))
        proxy = proxy or proxy_of(url)
        self._http = self._prepare(url, proxy, cacert)
        self._is_used = False

    def _prepare(self, url, proxy, cacert):
        server = proxy or url
        port = server.port or (443 if server.scheme == "https" else 80)
        pass_on = credentials("Proxy-Authorization", proxy) if proxy else {}
        if url.scheme == "http":
            if proxy:
                self._target = self._shown + ("?" + url.query if url.query else "")
                self._headers.update(pass_on)
            return http.client.HTTPConnection(server.hostname, port, timeout=self._timeout)
        try:
            trust = ssl.create_default_context(cafile=cacert)
        except OSError as error:
            raise Fault("cannot read cacert %s: %s" % (cacert, error)) from error
        made = http.client.HTTPSConnection(
            server.hostname, port, timeout=self._timeout, context=trust
        )
        if proxy:
            made.set_tunnel(url.hostname, url.port or 443, pass_on)
        return made

    def post(self, body):
        """Posts a body; returns if it was taken."""
        self._post(body, ANSWER_BYTES_MAX)

    def post_bulk(self, body, count):
        """Posts items at once; returns what became of each: None if it was taken, or a Refusal, or
        a TryLater."""
        said, is_whole = self._post(body, ANSWER_BYTES_MAX + count * ITEM_BYTES_MAX)
        try:
            if not is_whole:
                raise ValueError("it is cut short or too long")
            return outcomes(said, count)
        except ValueError as error:
            # What was not taken is lost unless all is posted again.
            text = "%s does not say what it took: %s" % (self._shown, error)
            raise TryLater(text) from error

    def _post(self, body, bytes_max):
        """Posts a body; returns what is answered if it was taken, and whether that is all of it."""
        try:
            with limited(self._timeout):
                status, said, is_whole = self._exchange(body, bytes_max)
        except ssl.SSLCertVerificationError as error:
            raise Fault("%s is not trusted: %s" % (self._shown, error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            why = str(error) or type(error).__name__
            raise TryLater("no answer from %s: %s" % (self._shown, why)) from error
        if 200 <= status < 300:
            return said, is_whole
        text = "%s answered %d" % (self._shown, status)
        said = excerpt(said.decode("utf-8", "replace").strip())
        text += ": " + said if said else ""
        if status >= 500 or status in PASSING:
            raise TryLater(text)
        if status in REFUSED:
            raise Refusal(text)
        raise Fault(text)

    def _exchange(self, body, bytes_max):
        try:
            return self._request(body, bytes_max)
        except (http.client.RemoteDisconnected, ConnectionError):
            # It was kept open longer than the server wanted; a new one tells for sure.
            if not self._is_used:
                raise
            self.close()
            return self._request(body, bytes_max)

    def _request(self, body, bytes_max):
        self._http.request("POST", self._target, body, self._headers)
        answer = self._http.getresponse()
        said = answer.read(bytes_max)
        self._is_used = True
        # What it announced and did not send; None if it announced nothing.
        is_whole = not answer.length and len(said) < bytes_max
        if not answer.isclosed():
            self.close()
        return answer.status, said, is_whole

    def close(self):
        """Closes it; the next request opens it again."""
        self._http.close()
        self._is_used = False


def outcomes(said, count):
    """Returns what became of each item of a bulk, by an answer in the form of Elasticsearch's.

    MozDef itself answers without a word, and then the status was for all. An answer that begins
    as one for each item, and cannot be read as such, raises ValueError.
    """
    if not said.lstrip().startswith(b"{"):
        return [None] * count
    try:
        answer = json.loads(said.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    items = answer.get("items")
    if items is None and answer.get("errors", False) is False:
        return [None] * count
    if not isinstance(items, list) or len(items) != count:
        raise ValueError("it is not about %d items" % count)
    return [outcome(item) for item in items]


def outcome(item):
    """Returns what became of one item, as {"index": {"status": 201}}."""
    told = list(item.values()) if isinstance(item, dict) else []
    if len(told) != 1 or not isinstance(told[0], dict):
        raise ValueError("it has an item without a status")
    status, error = told[0].get("status"), told[0].get("error")
    if type(status) is not int:
        raise ValueError("it has an item without a status")
    if 200 <= status < 300 and not error:
        return None
    reason = error.get("reason", error) if isinstance(error, dict) else error
    text = "item answered %d" % status
    text += ": " + excerpt(str(reason)) if reason else ""
    is_passing = status >= 500 or status in PASSING
    return TryLater(text) if is_passing else Refusal(text)


def credentials(header, url):
    """Returns the header for the user and password of a URL, if it has any."""
    if url.username is None:
        return {}
    pair = "%s:%s" % (urllib.parse.unquote(url.username), urllib.parse.unquote(url.password or ""))
    return {header: "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")}


def proxy_of(url):
    """Returns the proxy that the environment names, for whoever starts this by hand."""
    named = urllib.request.getproxies().get(url.scheme)
    if not named or urllib.request.proxy_bypass(url.hostname):
        return None
    try:
        return proxy_address(named if "://" in named else "http://" + named)
    except ValueError as error:
        raise Fault("the proxy of the environment: %s" % error) from error


@contextlib.contextmanager
def limited(span):
    """Ends what takes longer than a span, also if it is the name service or comes byte by byte."""

    def end(_number, _frame):
        raise socket.timeout("timed out after %g s" % span)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, span)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
