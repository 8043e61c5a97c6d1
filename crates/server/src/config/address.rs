//! The address of a listener, as people write it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads an address: `127.0.0.1:7480`, `[::1]:7480`, `localhost:7480`, or `:7480` for all addresses.
///
/// # Errors
/// A text that says what an address is.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }

    let named = text.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok()?;

        match host {
            "" => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            "localhost" => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            _ => None,
        }
    });

    named.ok_or_else(|| {
        "an address is an IP address or localhost, a colon, and a port: 127.0.0.1:7480".to_owned()
    })
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_people_write() {
        for (text, address) in [
            ("127.0.0.1:7480", "127.0.0.1:7480"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:7480", "127.0.0.1:7480"),
            (":7480", "[::]:7480"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), address);
        }

        for text in [
            "",
            "7480",
            "localhost",
            "localhost:",
            ":99999",
            "example.org:80",
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains("127.0.0.1:7480"), "{text}: {why}");
        }
    }
}
