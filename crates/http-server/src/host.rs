//! The check of the host that a request names.
//!
//! To listen on a loopback address alone does not keep web pages out: a site can let a host name of its own resolve to 127.0.0.1 (DNS
//! rebinding), and read the responses as its own. Its requests carry that name in `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Uri};

/// Whether a request with this target and these headers names one host, and that is a loopback name or one of `allowed`.
///
/// The target may name a host as well, and takes precedence (RFC 9112, section 3.2.2), so both have to be right.
pub fn has_allowed_host(target: &Uri, headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(|host| is_allowed_authority(host, allowed))
        && target.authority().is_none_or(|named| is_allowed_authority(named.as_str(), allowed))
}

/// Whether `authority` (`host` or `host:port`) is well formed and its host is a loopback name or one of `allowed`.
fn is_allowed_authority(authority: &str, allowed: &[String]) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let has_valid_port = parsed.port().is_some() || parsed.host() == authority;
    !authority.contains('@') && has_valid_port && is_allowed_host(parsed.host(), allowed)
}

/// Whether `host`, without a port, is a loopback name or one of `allowed`, ignoring letter case.
pub fn is_allowed_host(host: &str, allowed: &[String]) -> bool {
    is_loopback_host(host) || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether `host`, without a port, is `localhost`, a name under it, an address in 127.0.0.0/8, or `[::1]`.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_below_localhost = host.strip_suffix(".localhost").is_some_and(|name| !name.is_empty());
    let v4 = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let v6 = v6.and_then(|host| host.parse::<Ipv6Addr>().ok()).is_some_and(|address| address.is_loopback());
    host == "localhost" || is_below_localhost || v4 || v6
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use hyper::http::request::Builder;

    use super::*;

    #[test]
    fn loopback_names_are_recognized() {
        for name in [
            "localhost", "localhost:7071", "LOCALHOST:1", "chat.localhost:80", "127.0.0.1", "127.0.0.1:5500",
            "127.9.8.7:1", "[::1]", "[::1]:8888",
        ] {
            assert!(is_allowed_authority(name, &[]), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_loopback() {
        for name in [
            "", ":80", "example.com", "localhost.example.com", "evil-localhost", ".localhost", "127.0.0.1.example.com",
            "127.0.0.1.nip.io:7071", "128.0.0.1", "10.0.0.1", "0.0.0.0", "[::]", "[::]:1", "[::2]", "::1", "127.1",
            "0x7f.0.0.1", "localhost@example.com", "localhost:7071@example.com", "user@localhost", "localhost:99999",
            "localhost:x", "localhost/", "localhost, example.com", "localhost example.com", "lоcalhost",
        ] {
            assert!(!is_allowed_authority(name, &[]), "{name}");
        }
    }

    fn is_allowed(request: Builder, allowed: &[String]) -> bool {
        let request = request.body(()).unwrap();
        has_allowed_host(request.uri(), request.headers(), allowed)
    }

    #[test]
    fn only_requests_to_a_loopback_name_are_allowed() {
        assert!(is_allowed(Request::get("/").header("host", "localhost:1"), &[]));
        assert!(!is_allowed(Request::get("/").header("host", "evil.example"), &[]));
        assert!(!is_allowed(Request::get("/"), &[]));
    }

    #[test]
    fn an_allowed_name_has_any_port_and_letter_case_and_similar_names_are_not_allowed() {
        let allowed = ["Host.Docker.Internal".to_owned()];
        for host in ["host.docker.internal", "HOST.docker.internal:8888", "localhost"] {
            assert!(is_allowed(Request::get("/").header("host", host), &allowed), "{host}");
        }
        for host in [
            "docker.internal",
            "a.host.docker.internal",
            "host.docker.internal.evil.example",
            "host.docker.internal@evil.example",
            "user@host.docker.internal",
            "host.docker.internal:x",
        ] {
            assert!(!is_allowed(Request::get("/").header("host", host), &allowed), "{host}");
        }
    }

    #[test]
    fn a_second_host_is_not_allowed() {
        let twice = Request::get("/").header("host", "localhost").header("host", "evil.example");
        assert!(!is_allowed(twice, &[]));
        let in_the_target = Request::get("http://evil.example/").header("host", "localhost");
        assert!(!is_allowed(in_the_target, &[]));
    }
}
