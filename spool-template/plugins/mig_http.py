"""HTTP POST requests with a reliable outcome.

The status of the answer decides, every request has a time limit, and TLS
certificates are verified. Redirects are not followed: otherwise, events posted to
another place than the configured one would count as delivered.

This file is not a plugin; mozdef needs it in the same folder.
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
# Additional answer length for each item of a bulk request: an error quotes the field concerned.
ITEM_BYTES_MAX = 1 << 14
# Statuses that refuse this request only; others may be accepted.
REFUSED = (400, 413, 422)
# Temporary errors, besides all statuses from 500 on.
TEMPORARY = (408, 425, 429)


def address(text):
    """Parses a URL."""
    url = urllib.parse.urlsplit(text)
    # Error messages do not repeat the URL: it may contain a password.
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("not a URL: write http://HOST:PORT/PATH or https://...")
    if any(not "!" <= c <= "~" for c in text):
        raise ValueError("the URL has blanks or other characters that must be written as %XX")
    try:
        url.port
    except ValueError:
        raise ValueError("the port of the URL is not a number up to 65535") from None
    return url


def proxy_address(text):
    """Parses the URL of a proxy. The connection to the proxy itself does not use TLS."""
    url = address(text)
    if url.scheme != "http":
        raise ValueError("not a proxy: write http://HOST:PORT")
    return url


class Refusal(Exception):
    """The server permanently refuses what was posted."""


class Connection:
    """A connection that stays open between requests."""

    def __init__(self, url, timeout, cacert=None, proxy=None):
        """Prepares a connection; the first request opens it."""
        self._timeout = timeout
        self._url = url
        # Without user and password: for messages and for the proxy.
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
        connection = http.client.HTTPSConnection(
            server.hostname, port, timeout=self._timeout, context=trust
        )
        if proxy:
            connection.set_tunnel(url.hostname, url.port or 443, pass_on)
        return connection

    def post(self, body):
        """Posts a body; returns if the server accepted it."""
        self._post(body, ANSWER_BYTES_MAX)

    def post_bulk(self, body, count):
        """Posts several items at once; returns the outcome of each: None if it was accepted, or
        a Refusal, or a TryLater."""
        answer, is_whole = self._post(body, ANSWER_BYTES_MAX + count * ITEM_BYTES_MAX)
        try:
            if not is_whole:
                raise ValueError("the answer is truncated or too long")
            return outcomes(answer, count)
        except ValueError as error:
            # Items that were not accepted would be lost unless all are posted again.
            text = "%s did not report which events it accepted: %s" % (self._shown, error)
            raise TryLater(text) from error

    def _post(self, body, bytes_max):
        """Posts a body; returns the answer if it was accepted, and whether that is complete."""
        try:
            with limited(self._timeout):
                status, answer, is_whole = self._exchange(body, bytes_max)
        except ssl.SSLCertVerificationError as error:
            raise Fault("%s is not trusted: %s" % (self._shown, error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            why = str(error) or type(error).__name__
            raise TryLater("no answer from %s: %s" % (self._shown, why)) from error
        if 200 <= status < 300:
            return answer, is_whole
        text = "%s answered %d" % (self._shown, status)
        answer = excerpt(answer.decode("utf-8", "replace").strip())
        text += ": " + answer if answer else ""
        if status >= 500 or status in TEMPORARY:
            raise TryLater(text)
        if status in REFUSED:
            raise Refusal(text)
        raise Fault(text)

    def _exchange(self, body, bytes_max):
        try:
            return self._request(body, bytes_max)
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server may have closed an idle connection; retry once on a new one.
            if not self._is_used:
                raise
            self.close()
            return self._request(body, bytes_max)

    def _request(self, body, bytes_max):
        self._http.request("POST", self._target, body, self._headers)
        response = self._http.getresponse()
        answer = response.read(bytes_max)
        self._is_used = True
        # `length` is what the server announced and did not send; None if it announced nothing.
        is_whole = not response.length and len(answer) < bytes_max
        if not response.isclosed():
            self.close()
        return response.status, answer, is_whole

    def close(self):
        """Closes the connection; the next request opens it again."""
        self._http.close()
        self._is_used = False


def outcomes(answer, count):
    """Returns the outcome of each item of a bulk request, from an answer like Elasticsearch's.

    MozDef itself answers without a body; the status then applies to all items. An answer that
    begins like one for each item but cannot be read as such raises ValueError.
    """
    if not answer.lstrip().startswith(b"{"):
        return [None] * count
    try:
        parsed = json.loads(answer.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("the answer is nested too deeply") from error
    items = parsed.get("items")
    if items is None and parsed.get("errors", False) is False:
        return [None] * count
    if not isinstance(items, list) or len(items) != count:
        raise ValueError("the answer does not have %d items" % count)
    return [outcome(item) for item in items]


def outcome(item):
    """Returns the outcome of one item, such as {"index": {"status": 201}}."""
    results = list(item.values()) if isinstance(item, dict) else []
    if len(results) != 1 or not isinstance(results[0], dict):
        raise ValueError("the answer has an item without a status")
    status, error = results[0].get("status"), results[0].get("error")
    if type(status) is not int:
        raise ValueError("the answer has an item without a status")
    if 200 <= status < 300 and not error:
        return None
    reason = error.get("reason", error) if isinstance(error, dict) else error
    text = "item answered %d" % status
    text += ": " + excerpt(str(reason)) if reason else ""
    is_temporary = status >= 500 or status in TEMPORARY
    return TryLater(text) if is_temporary else Refusal(text)


def credentials(header, url):
    """Returns the header with the user and password of a URL, if it has any."""
    if url.username is None:
        return {}
    pair = "%s:%s" % (urllib.parse.unquote(url.username), urllib.parse.unquote(url.password or ""))
    return {header: "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")}


def proxy_of(url):
    """Returns the proxy from the environment, which is set only if the plugin is run by hand."""
    named = urllib.request.getproxies().get(url.scheme)
    if not named or urllib.request.proxy_bypass(url.hostname):
        return None
    try:
        return proxy_address(named if "://" in named else "http://" + named)
    except ValueError as error:
        raise Fault("proxy in the environment: %s" % error) from error


@contextlib.contextmanager
def limited(span):
    """Limits the time of an operation, including name resolution and answers sent byte by byte."""

    def end(_number, _frame):
        raise socket.timeout("timed out after %g s" % span)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, span)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
