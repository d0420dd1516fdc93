//! Selects the proxy, if any, between the client and the API.
//!
//! The rules are those of Go's HTTP client, because users of the original have its variables in
//! their environment. The HTTP library's own rules differ: it ignores a value that it cannot parse
//! and connects directly, and its `no_proxy` does not support ports. So [`decide`] makes the
//! decision, once for each client, and the library receives only the result. An invalid value is an
//! error if it would be needed.

mod exception;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Size limit, in bytes, of a user name or password: SOCKS encodes the length in one byte.
const CREDENTIAL_BYTES_MAX: usize = 255;

/// The environment variables about proxies.
#[derive(Default)]
pub(crate) struct Variables {
    /// The proxy for an API whose URL begins with `http://`.
    pub(crate) http: Option<Variable>,
    /// The proxy for an API whose URL begins with `https://`.
    pub(crate) https: Option<Variable>,
    /// The proxy for a scheme without a proxy of its own.
    pub(crate) all: Option<Variable>,
    /// The hosts to connect to directly.
    pub(crate) no: Option<Variable>,
    /// Whether `REQUEST_METHOD` is set. It is set for CGI programs, whose clients can set
    /// `HTTP_PROXY`.
    pub(crate) is_cgi: bool,
}

pub(crate) struct Variable {
    /// The name that is set, in upper or lower case.
    pub(crate) name: &'static str,
    /// The value, which may contain a password.
    pub(crate) value: OsString,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [&self.http, &self.https, &self.all, &self.no];
        let names = set.into_iter().flatten().map(|variable| variable.name);
        f.debug_list().entries(names).finish()
    }
}

/// A configured proxy that cannot be used. No message contains the value, which may contain a
/// password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error(
        "{variable} names a proxy of an unknown kind: write http://, https://, socks5:// or socks5h:// before its host, or add the API's host to no_proxy"
    )]
    Scheme { variable: &'static str },
    #[error(
        "{variable} is not the URL of a proxy: write SCHEME://HOST:PORT or SCHEME://USER:PASSWORD@HOST:PORT, with %XX for a special character in user and password"
    )]
    Form {
        variable: &'static str,
        /// The error of the URL parser, if it found the fault.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The variable may have been set by a client of a CGI program.
    #[error(
        "{variable} is not used because REQUEST_METHOD is set, as for a CGI program, whose clients can set HTTP_PROXY: unset REQUEST_METHOD or {variable}"
    )]
    Cgi { variable: &'static str },
    #[error("{variable} is not UTF-8 text: correct or unset it")]
    NotText { variable: &'static str },
}

/// The way in which the client connects to the API.
#[derive(Debug)]
pub(crate) enum Route {
    Direct,
    Excepted {
        /// The variable that names the proxy.
        variable: &'static str,
        why: Exception,
    },
    Through(Proxy),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exception {
    /// The API is on this host, which a proxy could not reach by the same name.
    ThisHost,
    /// The variable that lists the API's host as an exception.
    Listed(&'static str),
}

pub(crate) struct Proxy {
    /// The variable that names the proxy.
    pub(crate) variable: &'static str,
    /// The URL with port, but without user and password.
    pub(crate) shown: String,
    /// The URL in the HTTP library's form.
    url: Url,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Direct => f.write_str("connected directly"),
            Route::Excepted { variable, why: Exception::ThisHost } => {
                write!(f, "connected directly despite {variable}: it is on this host")
            }
            Route::Excepted { variable, why: Exception::Listed(no) } => {
                write!(f, "connected directly despite {variable}: {no} lists it")
            }
            Route::Through(proxy) => {
                write!(f, "connected through the proxy {} of {}", proxy.shown, proxy.variable)
            }
        }
    }
}

impl Proxy {
    /// Converts the proxy to the HTTP library's type.
    pub(super) fn to_reqwest(&self) -> Result<reqwest::Proxy, reqwest::Error> {
        reqwest::Proxy::all(self.url.clone())
    }
}

/// Decides how to connect to an API.
///
/// # Errors
/// A proxy is needed, and the variable that names it is invalid.
pub(super) fn decide(api: &Url, variables: &Variables) -> Result<Route, ProxyError> {
    let own = if api.scheme() == "https" { &variables.https } else { &variables.http };
    let Some(named) = own.as_ref().or(variables.all.as_ref()) else { return Ok(Route::Direct) };
    if named.value.to_str().is_some_and(|value| value.trim().is_empty()) {
        return Ok(Route::Direct);
    }
    if let Some(why) = exempted(api, variables.no.as_ref())? {
        return Ok(Route::Excepted { variable: named.name, why });
    }
    if variables.is_cgi && named.name.eq_ignore_ascii_case("http_proxy") {
        return Err(ProxyError::Cgi { variable: named.name });
    }
    parse(named).map(Route::Through)
}

/// Returns the reason to bypass any proxy, if there is one.
fn exempted(api: &Url, list: Option<&Variable>) -> Result<Option<Exception>, ProxyError> {
    if is_this_host(api) {
        return Ok(Some(Exception::ThisHost));
    }
    let host = api.host_str().unwrap_or_default();
    let address = address_of(host);
    let Some(Variable { name, value }) = list else { return Ok(None) };
    let list = value.to_str().ok_or(ProxyError::NotText { variable: name })?;
    let port = api.port_or_known_default().unwrap_or_default();
    let is_listed = exception::is_listed(list, host, address, port);
    Ok(is_listed.then_some(Exception::Listed(name)))
}

/// Returns whether requests to an API do not leave this host.
pub(super) fn is_this_host(api: &Url) -> bool {
    let host = api.host_str().unwrap_or_default();
    host == "localhost" || address_of(host).is_some_and(|address| address.is_loopback())
}

/// Parses the host of a URL as an address; `None` if the host is a name.
fn address_of(host: &str) -> Option<IpAddr> {
    let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    // An IPv4 address in IPv6 notation is the same host.
    Some(address.to_canonical())
}

/// Parses the URL of a proxy; the default scheme is `http`.
fn parse(named: &Variable) -> Result<Proxy, ProxyError> {
    let variable = named.name;
    let wrong = || ProxyError::Form { variable, source: None };
    let text = named.value.to_str().ok_or_else(wrong)?.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("http", 80),
        "https" => ("https", 443),
        // Go lets the proxy resolve names for both schemes; in the library, only `socks5h` does.
        "socks5" | "socks5h" => ("socks5h", 1080),
        _ => return Err(ProxyError::Scheme { variable }),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).ok_or_else(wrong)?;
    // The URL parser drops white space and treats a backslash as a slash. An @ after the authority
    // belongs to a password with a slash, whose beginning would be parsed as a host.
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if authority.contains(is_odd) || tail.contains('@') {
        return Err(wrong());
    }
    let read = |scheme: &str| Url::parse(&format!("{scheme}://{authority}/"));
    let faulty = |source| ProxyError::Form { variable, source: Some(Box::new(source) as Box<_>) };
    let url = read("http").map_err(faulty)?;
    // A parsed URL omits the default port of its scheme, so it is parsed with two schemes.
    let other = read("https").map_err(faulty)?;
    let port = url.port().or(other.port()).unwrap_or(default_port);
    let host = url.host_str().unwrap_or_default();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = !host.is_empty() && (address_of(host).is_some() || host.chars().all(is_of_name));
    let (user, password) = (url.username(), url.password());
    let is_long = |text: &str| text.len() > CREDENTIAL_BYTES_MAX;
    if !is_host || port == 0 || is_long(user) || password.is_some_and(is_long) {
        return Err(wrong());
    }
    let credentials = match (user, password) {
        ("", None) => String::new(),
        (user, None) => format!("{user}@"),
        (user, Some(password)) => format!("{user}:{password}@"),
    };
    let url = Url::parse(&format!("{scheme}://{credentials}{host}:{port}")).map_err(faulty)?;
    Ok(Proxy { variable, shown: format!("{scheme}://{host}:{port}"), url })
}
