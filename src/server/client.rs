//! Where a request comes from, behind whatever proxies the configuration trusts.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use super::state::App;

/// The other end of the connection, put into every request by whoever accepted it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The address of the client itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The client of a request: the peer, or the rightmost hop of `X-Forwarded-For` that is not one
    /// of `trusted`. What stands left of that hop is hearsay.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let mut client = peer.to_canonical();
        if !is_trusted(client, trusted) {
            return Self(client);
        }
        let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        // Hop by hop: what a client put in front must not make a proxy's own word unreadable.
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            let Some(address) = str::from_utf8(hop).ok().and_then(|hop| parse(hop.trim())) else {
                break;
            };
            client = address;
            if !is_trusted(client, trusted) {
                break;
            }
        }
        Self(client)
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let nobody = Peer(IpAddr::from([0, 0, 0, 0]));
        let Peer(peer) = parts.extensions.get().copied().unwrap_or(nobody);
        Ok(Self::of(peer, &parts.headers, &app.config.server.trusted_proxies))
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// An address, with or without port and brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let plain = hop.parse::<IpAddr>().ok();
    let bracketed = || hop.strip_prefix('[')?.split(']').next()?.parse().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, chains: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::1/128".parse().unwrap()];
        let headers = chains
            .iter()
            .map(|chain| ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(chain)))
            .collect();
        ClientAddress::of(peer.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("fd00::2", &["2001:db8::1"]), "fd00::2");
    }

    #[test]
    fn what_no_text_is_does_not_hide_the_proxys_word() {
        let line = HeaderValue::from_bytes(b"\xff, 198.51.100.1").unwrap();
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), line)]);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let found = ClientAddress::of("10.0.0.1".parse().unwrap(), &headers, &trusted);
        assert_eq!(found.0.to_string(), "198.51.100.1");
    }

    #[test]
    fn what_a_client_puts_before_its_own_hop_is_not_believed() {
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6", "198.51.100.1:4711", "10.9.9.9"]),
            "198.51.100.1"
        );
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &[", ,"]), "10.0.0.1");
    }
}
