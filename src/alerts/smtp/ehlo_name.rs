//! The name by which pgbk introduces itself to a mail server.

use lettre::transport::smtp::extension::ClientId;
use std::net::{IpAddr, Ipv4Addr};

/// Returns the argument of EHLO. Many servers want a name with its domain; a container has none, and then gives its own address on
/// this connection, as RFC 5321 has it (4.1.4).
pub(crate) fn hello(own: &str, address: Option<IpAddr>) -> ClientId {
    if own.trim_matches('.').contains('.') {
        return ClientId::Domain(own.to_owned());
    }
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Some(IpAddr::V6(address)) => ClientId::Ipv6(address),
        None => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_greeted_with_a_full_name_or_an_address() {
        for (own, address, said) in [
            ("backups-1.example.org", "10.0.0.2", "backups-1.example.org"),
            ("a1b2c3d4e5f6", "10.0.0.2", "[10.0.0.2]"),
            ("a1b2c3d4e5f6", "::ffff:10.0.0.2", "[10.0.0.2]"),
            ("a1b2c3d4e5f6", "fd00::2", "[IPv6:fd00::2]"),
            ("localhost", "127.0.0.1", "[127.0.0.1]"),
            ("host.", "127.0.0.1", "[127.0.0.1]"),
            (".", "127.0.0.1", "[127.0.0.1]"),
            ("", "127.0.0.1", "[127.0.0.1]"),
            ("a1b2c3d4e5f6", "", "[127.0.0.1]"),
        ] {
            assert_eq!(hello(own, address.parse().ok()).to_string(), said, "{own}");
        }
    }
}
