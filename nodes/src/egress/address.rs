//! Which addresses of the network belong to the public, whatever form they are written in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    /// What it is, as messages say it: `a private address`.
    pub(super) what: &'static str,
    /// Whether no configuration can allow it.
    pub(super) never: bool,
}

/// `None` for a public address. An IPv6 form of an IPv4 address is judged as the IPv4 address that it leads to.
pub(super) fn reserved(address: IpAddr) -> Option<Reserved> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => reserved_v4(inner),
            None => reserved_v6(address).or_else(|| reserved_v4(tunnelled_v4(address)?)),
        },
    }
}

/// The address that packets really go to: the IPv4 address for each IPv6 form of one.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).or_else(|| tunnelled_v4(v6)).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

const fn maybe(what: &'static str) -> Reserved {
    Reserved { what, never: false }
}

const fn never(what: &'static str) -> Reserved {
    Reserved { what, never: true }
}

fn reserved_v4(address: Ipv4Addr) -> Option<Reserved> {
    let found = match address.octets() {
        // The public-looking ones of Azure, Alibaba and Oracle; those of the others are link-local.
        [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => never("a metadata address of a cloud"),
        [169, 254, ..] => never("a link-local address, where clouds serve their metadata"),
        [224..=239, ..] => never("a multicast address"),
        [240..=255, ..] => never("a reserved or broadcast address"),
        [0, ..] => maybe("an address of this host"),
        [127, ..] => maybe("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => maybe("a private address"),
        [100, 64..=127, ..] => maybe("an address behind a carrier's NAT"),
        [192, 0, 0, _] | [192, 88, 99, _] => maybe("an address for protocols"),
        [198, 18..=19, ..] => maybe("an address for benchmarks"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => maybe("an address for documentation"),
        _ => return None,
    };
    Some(found)
}

fn reserved_v6(address: Ipv6Addr) -> Option<Reserved> {
    let found = match address.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            never("a metadata address of a cloud")
        }
        [0xfe80..=0xfebf, ..] => never("a link-local address"),
        [0xff00..=0xffff, ..] => never("a multicast address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => maybe("a loopback address"),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => maybe("a private address"),
        [0x2001, 0..=0x01ff, ..] => maybe("an address for protocols and tunnels"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => maybe("an address for documentation"),
        [0x2000..=0x3fff, ..] => return None,
        _ => maybe("an address outside the public range"),
    };
    Some(found)
}

/// The IPv4 address that an IPv6 one is a form of.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // `::` and `::1` are addresses of their own, not compatible forms.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible, mapped, translated, NAT64; then 6to4, which has it in front. The local NAT64 prefix may be cut
        // anywhere (RFC 6052), so it is refused as a whole: it lies outside the public range.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// The IPv4 address of an ISATAP interface, which may stand behind any prefix.
fn tunnelled_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => Some(join(high, low)),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1")]
    #[case("0.0.0.0")]
    #[case("10.1.2.3")]
    #[case("172.31.255.255")]
    #[case("192.168.0.1")]
    #[case("100.64.0.1")]
    #[case("198.18.0.1")]
    #[case("203.0.113.9")]
    #[case("::")]
    #[case("::1")]
    #[case("fc00::1")]
    #[case("fd12:3456::1")]
    #[case("fec0::1")]
    #[case("2001::1")]
    #[case("2001:db8::1")]
    #[case("100::1")]
    #[case("64:ff9b:1:2::1")]
    #[case("::ffff:127.0.0.1")]
    #[case("::127.0.0.1")]
    #[case("::ffff:0:127.0.0.1")]
    #[case("64:ff9b::10.0.0.1")]
    #[case("64:ff9b:1::10.0.0.1")]
    #[case("2002:7f00:1::1")]
    #[case("2606:4700::5efe:10.0.0.1")]
    #[case("fc00::5efe:1.1.1.1")]
    fn what_is_not_public_is_reserved(#[case] address: &str) {
        let found = reserved(address.parse().unwrap()).expect(address);
        assert!(!found.never, "{address}: {}", found.what);
    }

    #[rstest]
    #[case("169.254.169.254")]
    #[case("169.254.170.2")]
    #[case("::ffff:169.254.169.254")]
    #[case("64:ff9b::a9fe:a9fe")]
    #[case("2002:a9fe:a9fe::")]
    #[case("fd00:ec2::254")]
    #[case("fe80::1")]
    #[case("168.63.129.16")]
    #[case("100.100.100.200")]
    #[case("224.0.0.1")]
    #[case("255.255.255.255")]
    #[case("ff02::1")]
    fn metadata_and_multicast_can_never_be_allowed(#[case] address: &str) {
        assert!(reserved(address.parse().unwrap()).expect(address).never, "{address}");
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("172.32.0.1")]
    #[case("100.128.0.1")]
    #[case("2606:4700:4700::1111")]
    #[case("::ffff:1.1.1.1")]
    #[case("64:ff9b::1.1.1.1")]
    fn public_addresses_are_not(#[case] address: &str) {
        assert_eq!(reserved(address.parse().unwrap()), None, "{address}");
    }

    proptest! {
        /// The standard library's own notion of special addresses, as far as it has one, is never public here.
        #[test]
        fn no_public_address_is_private(bits: u32, form in 0..6_u8) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let address = match form {
                0 => IpAddr::V4(v4),
                1 => IpAddr::V6(v4.to_ipv6_mapped()),
                2 => IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
                3 => IpAddr::V6(Ipv6Addr::new(0x2002, high, low, 7, 0, 0, 0, 1)),
                4 => IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low)),
                _ => IpAddr::V6(Ipv6Addr::new(0x2606, 0, 0, 0, 0, 0x5efe, high, low)),
            };
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_unspecified() || v4.is_multicast();
            prop_assert_eq!(canonical(address), IpAddr::V4(v4));
            if special {
                prop_assert!(reserved(address).is_some(), "{}", address);
            }
            prop_assert_eq!(reserved(address), reserved(IpAddr::V4(v4)));
        }

        #[test]
        fn an_ipv6_address_outside_the_global_range_is_reserved(bits: u128) {
            let v6 = Ipv6Addr::from(bits);
            if reserved(IpAddr::V6(v6)).is_none() {
                let global = (0x2000..=0x3fff).contains(&v6.segments()[0]);
                prop_assert!(global || embedded_v4(v6).is_some());
                prop_assert!(!v6.is_unique_local() && !v6.is_unicast_link_local() && !v6.is_multicast());
            }
        }
    }
}
