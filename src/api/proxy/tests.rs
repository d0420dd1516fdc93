//! Tests of the decision, with vectors derived from the documentation of Go's `httpproxy`.

use std::os::unix::ffi::OsStringExt;

use super::*;

fn set(name: &'static str, value: &str) -> Option<Variable> {
    Some(Variable { name, value: value.into() })
}

fn url(url: &str) -> Url {
    Url::parse(url).unwrap()
}

/// Returns the proxy for an API on another host, as displayed and as passed to the library, or the
/// reason why no proxy is used.
fn proxy(value: &str) -> Result<(String, String), String> {
    let variables = Variables { https: set("https_proxy", value), ..Variables::default() };
    match decide(&url("https://mig.example.net/api/v1/"), &variables) {
        Ok(Route::Through(proxy)) => Ok((proxy.shown, proxy.url.to_string())),
        Ok(other) => Err(other.to_string()),
        Err(error) => Err(crate::chain::Chain(&error).to_string()),
    }
}

#[test]
fn every_form_of_a_proxy_url_is_accepted() {
    for (value, shown, to_reqwest) in [
        ("proxy", "http://proxy:80", "http://proxy/"),
        (
            "proxy.corp.example:3128",
            "http://proxy.corp.example:3128",
            "http://proxy.corp.example:3128/",
        ),
        ("10.0.0.1", "http://10.0.0.1:80", "http://10.0.0.1/"),
        ("10.0.0.1:8080", "http://10.0.0.1:8080", "http://10.0.0.1:8080/"),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080/"),
        ("[2001:db8::1]", "http://[2001:db8::1]:80", "http://[2001:db8::1]/"),
        ("localhost:3128", "http://localhost:3128", "http://localhost:3128/"),
        ("user:pw@proxy:3128", "http://proxy:3128", "http://user:pw@proxy:3128/"),
        ("http://proxy", "http://proxy:80", "http://proxy/"),
        ("HTTP://Proxy:3128/", "http://proxy:3128", "http://proxy:3128/"),
        ("http://proxy:443", "http://proxy:443", "http://proxy:443/"),
        ("http://proxy:3128/a/path?and=more#too", "http://proxy:3128", "http://proxy:3128/"),
        (" http://proxy:3128 ", "http://proxy:3128", "http://proxy:3128/"),
        ("https://proxy", "https://proxy:443", "https://proxy/"),
        ("https://proxy:80", "https://proxy:80", "https://proxy:80/"),
        ("https://u@proxy:8443", "https://proxy:8443", "https://u@proxy:8443/"),
        ("socks5://proxy", "socks5h://proxy:1080", "socks5h://proxy:1080"),
        ("socks5://proxy:80", "socks5h://proxy:80", "socks5h://proxy:80"),
        ("socks5h://u:p@10.0.0.1:9050/", "socks5h://10.0.0.1:9050", "socks5h://u:p@10.0.0.1:9050"),
        ("socks5://[2001:db8::1]:9", "socks5h://[2001:db8::1]:9", "socks5h://[2001:db8::1]:9"),
        ("http://u:p@ss:w@proxy:1", "http://proxy:1", "http://u:p%40ss%3Aw@proxy:1/"),
        ("http://u:p%2Fw%25@proxy:1", "http://proxy:1", "http://u:p%2Fw%25@proxy:1/"),
        (
            "http://b\u{fc}cher.example:1",
            "http://xn--bcher-kva.example:1",
            "http://xn--bcher-kva.example:1/",
        ),
    ] {
        assert_eq!(proxy(value), Ok((shown.to_owned(), to_reqwest.to_owned())), "{value}");
    }
}

#[test]
fn invalid_proxy_is_an_error_that_hides_its_value() {
    let unknown = "https_proxy names a proxy of an unknown kind: write http://";
    let form = "https_proxy is not the URL of a proxy: write SCHEME://HOST:PORT";
    for (value, message) in [
        ("socks4://hunter2@proxy:1080", unknown),
        ("socks://hunter2@proxy", unknown),
        ("ftp://hunter2@proxy", unknown),
        ("direct://", unknown),
        ("htpp://hunter2@proxy:3128", unknown),
        ("user:hunter2://x@proxy", unknown),
        ("http://", form),
        ("http:///hunter2", form),
        ("http://user:hunter2@", form),
        ("//hunter2:3128", form),
        ("http://user:hunter2/x@proxy:3128", form),
        ("http://user:12/hunter2@proxy:3128", form),
        ("http://user:hunter2#x@proxy:3128", form),
        (r"http://user:12\hunter2@proxy:3128", form),
        ("http://user:hunter 2@proxy:3128", form),
        ("http://user:hunter2@proxy:port", form),
        ("http://user:hunter2@proxy:65536", form),
        ("http://user:hunter2@proxy:0", form),
        ("http://user:hunter2@a`b:1", form),
        ("http://user:hunter2@[2001:db8::1:1", form),
        ("user hunter2", form),
    ] {
        let error = proxy(value).unwrap_err();
        assert!(error.starts_with(message), "{value}: {error}");
        assert!(!error.contains("hunter"), "{value}: {error}");
    }
    let long = format!("socks5://u:{}@proxy", "x".repeat(256));
    assert!(proxy(&long).unwrap_err().starts_with(form));
    let bytes = Some(Variable { name: "https_proxy", value: OsString::from_vec(vec![0xff]) });
    let variables = Variables { https: bytes, ..Variables::default() };
    assert!(decide(&url("https://h/"), &variables).is_err());
    assert!(!format!("{variables:?}").contains("ff"));
}

#[test]
fn blank_value_means_no_proxy() {
    assert_eq!(proxy(" "), Err("connected directly".to_owned()));
}

#[test]
fn each_scheme_of_the_api_has_its_variable() {
    let variables = || Variables {
        http: set("HTTP_PROXY", "h"),
        all: set("all_proxy", "a"),
        ..Variables::default()
    };
    for (api, shown) in
        [("http://mig.example/", "http://h:80"), ("https://mig.example/", "http://a:80")]
    {
        let Ok(Route::Through(proxy)) = decide(&url(api), &variables()) else { panic!("{api}") };
        assert_eq!(proxy.shown, shown);
    }
    let none = Variables { all: None, ..variables() };
    assert!(matches!(decide(&url("https://mig.example/"), &none), Ok(Route::Direct)));
}

#[test]
fn http_proxy_is_refused_in_a_cgi_environment() {
    let variables = |is_cgi| Variables {
        http: set("HTTP_PROXY", "http://proxy"),
        https: set("HTTPS_PROXY", "http://proxy"),
        is_cgi,
        ..Variables::default()
    };
    let (http, https) = (url("http://mig.example/"), url("https://mig.example/"));
    assert!(matches!(decide(&http, &variables(false)), Ok(Route::Through(_))));
    let error = decide(&http, &variables(true)).unwrap_err().to_string();
    assert!(error.contains("unset REQUEST_METHOD or HTTP_PROXY"), "{error}");
    // Clients of a CGI program cannot set this variable.
    assert!(matches!(decide(&https, &variables(true)), Ok(Route::Through(_))));
    let all = Variables { http: None, all: set("ALL_PROXY", "proxy"), ..variables(true) };
    assert!(matches!(decide(&http, &all), Ok(Route::Through(_))));
}

#[test]
fn invalid_proxy_that_is_not_needed_is_ignored() {
    let broken = |no| Variables {
        http: set("http_proxy", "ftp://p"),
        no,
        is_cgi: true,
        ..Variables::default()
    };
    let route = decide(&url("http://127.0.0.1/"), &broken(None)).unwrap();
    assert_eq!(route.to_string(), "connected directly despite http_proxy: it is on this host");
    let route = decide(&url("http://h/"), &broken(set("NO_PROXY", "h"))).unwrap();
    assert_eq!(route.to_string(), "connected directly despite http_proxy: NO_PROXY lists it");
    assert!(matches!(decide(&url("https://h/"), &broken(None)), Ok(Route::Direct)));
    assert!(decide(&url("http://h/"), &broken(set("NO_PROXY", "other"))).is_err());
}

#[test]
fn this_host_is_never_reached_through_a_proxy() {
    for (api, is_here) in [
        ("http://127.0.0.1:80", true),
        ("http://127.9.9.9", true),
        ("http://127.1", true),
        ("http://[::1]:1664/api/v1/", true),
        ("http://[::ffff:127.0.0.1]", true),
        ("http://LOCALHOST", true),
        ("http://10.0.0.1", false),
        ("http://0.0.0.0", false),
        ("http://localhost.example.net", false),
        ("http://host.localhost", false),
        ("http://[2001:db8::1]", false),
    ] {
        let variables = Variables { http: set("http_proxy", "proxy"), ..Variables::default() };
        let route = decide(&url(api), &variables).unwrap();
        let here = matches!(route, Route::Excepted { why: Exception::ThisHost, .. });
        assert_eq!(here, is_here, "{api}: {route}");
    }
}

/// Lists of exceptions, with URLs that they contain and URLs that they do not contain.
const LISTS: [(&str, &[&str], &[&str]); 22] = [
    ("", &[], &["http://a.b", "http://10.0.0.1"]),
    ("*", &["http://a.b", "https://10.0.0.1:8443", "http://[2001:db8::1]"], &[]),
    ("x.y, * ,z", &["http://a.b"], &[]),
    ("*:80", &[], &["http://a.b"]),
    (
        "foo.com",
        &["http://foo.com", "https://foo.com:99", "http://a.b.foo.com", "http://FOO.com"],
        &["http://barfoo.com", "http://foo.com.net", "http://foo.com."],
    ),
    (
        ".foo.com",
        &["http://bar.foo.com", "http://a.b.foo.com"],
        &["http://foo.com", "http://barfoo.com"],
    ),
    ("*.foo.com", &["http://bar.foo.com"], &["http://foo.com", "http://barfoo.com"]),
    ("*foo.com", &[], &["http://foo.com", "http://bar.foo.com", "http://barfoo.com"]),
    (
        "foo.com:80",
        &["http://foo.com", "http://bar.foo.com:80"],
        &["https://foo.com", "http://foo.com:8080"],
    ),
    (".foo.com:443", &["https://a.foo.com"], &["http://a.foo.com", "https://foo.com"]),
    ("foo.com:", &["http://foo.com", "https://foo.com"], &[]),
    (":80", &[], &["http://foo.com"]),
    (" , ,FOO.com ,", &["http://foo.com"], &["http://bar.com"]),
    ("a.com b.com", &[], &["http://a.com", "http://b.com"]),
    (
        "10.0.0.1",
        &["http://10.0.0.1", "https://10.0.0.1:9", "http://[::ffff:10.0.0.1]"],
        &["http://10.0.0.10", "http://10.0.0.2"],
    ),
    ("10.0.0.1:8080", &["http://10.0.0.1:8080"], &["http://10.0.0.1"]),
    (
        "10.0.0.0/8,192.168.1.128/25",
        &["http://10.255.0.1:8080", "http://192.168.1.200", "http://[::ffff:10.1.1.1]"],
        &["http://11.0.0.1", "http://192.168.1.1", "http://ten.example"],
    ),
    ("0.0.0.0/0", &["http://203.0.113.9"], &["http://[2001:db8::1]", "http://a.b"]),
    ("10.0.0.0/33,10.0.0.0/+8,10.0.0.0/", &[], &["http://10.0.0.0"]),
    (
        "2001:db8::/32,::ffff:10.0.0.0/104",
        &["http://[2001:db8:1::9]:80", "http://10.9.9.9"],
        &["http://[2001:db9::1]", "http://11.0.0.1"],
    ),
    (
        "2001:db8::1,[2001:db8::2]:443,[2001:db8::3]",
        &["http://[2001:DB8::1]:9", "https://[2001:db8::2]", "http://[2001:db8:0::3]"],
        &["http://[2001:db8::2]", "http://[2001:db8::4]"],
    ),
    (
        "b\u{fc}cher.example",
        &["http://b\u{fc}cher.example", "http://www.xn--bcher-kva.example"],
        &["http://bucher.example"],
    ),
];

#[test]
fn exceptions_match_as_in_go() {
    for (list, has, has_not) in LISTS {
        let cases = has.iter().map(|api| (api, true)).chain(has_not.iter().map(|api| (api, false)));
        for (api, wanted) in cases {
            let variables = Variables {
                http: set("http_proxy", "proxy"),
                https: set("https_proxy", "proxy"),
                no: set("no_proxy", list),
                ..Variables::default()
            };
            let route = decide(&url(api), &variables).unwrap();
            let listed =
                matches!(route, Route::Excepted { why: Exception::Listed("no_proxy"), .. });
            assert_eq!(listed, wanted, "{list:?} {api}: {route}");
        }
    }
}
