//! The names of a world, as its private DNS knows them: only the in-memory seams ask here.

use super::world::World;
use std::net::IpAddr;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The endpoint in all its zones.
    Endpoint,
    /// The endpoint in one zone.
    Zone(IpAddr),
}

/// Looks a name up. No list of names is made: every request in memory comes by here.
pub(super) fn of(world: &World, host: &str) -> Option<Named> {
    let endpoint = &world.endpoint;
    let label = host
        .strip_suffix(world.dns_suffix())
        .and_then(|rest| rest.strip_suffix('.'))
        .and_then(|rest| rest.strip_suffix(world.region.as_str()))
        .and_then(|rest| rest.strip_suffix(".execute-api."));
    if let Some(label) = label {
        let alias = label.strip_suffix(endpoint.id.as_str()).and_then(|rest| rest.strip_suffix('-'));
        // An alias for this endpoint is public DNS and does not depend on private DNS.
        let known =
            alias.map_or(endpoint.private_dns && world.api(label).is_some(), |id| world.api(id).is_some());
        return known.then_some(Named::Endpoint);
    }
    if host.starts_with(endpoint.id.as_str()) {
        if host == world.endpoint_name() {
            return Some(Named::Endpoint);
        }
        let zone = endpoint.zones.iter().find(|(zone, _)| host == world.zonal_name(zone));
        return zone.map(|(_, address)| Named::Zone(*address));
    }
    let is_domain =
        || world.apis().any(|(_, api)| api.domain.as_ref().is_some_and(|domain| domain.name == host));
    (host == "localhost" || is_domain()).then_some(Named::Endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_demo() {
        let mut world = World::default_world().unwrap();
        let zone: IpAddr = "10.0.1.17".parse().unwrap();
        let at = |world: &World, host: &str| of(world, host);
        for (host, found) in [
            ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", Some(Named::Endpoint)),
            ("a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com", Some(Named::Endpoint)),
            (
                "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com",
                Some(Named::Endpoint),
            ),
            (
                "vpce-0123456789abcdef0-abcdefgh-euw1-az1.execute-api.eu-west-1.vpce.amazonaws.com",
                Some(Named::Zone(zone)),
            ),
            ("vpce-0123456789abcdef0-abcdefgh-euw1-az9.execute-api.eu-west-1.vpce.amazonaws.com", None),
            ("zzzzzzzzzz.execute-api.eu-west-1.amazonaws.com", None),
            ("a1b2c3d4e5.execute-api.eu-west-2.amazonaws.com", None),
            ("localhost", Some(Named::Endpoint)),
            ("amazonaws.com", None),
        ] {
            assert_eq!(at(&world, host), found, "{host}");
        }
        world.endpoint.private_dns = false;
        assert_eq!(at(&world, "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"), None);
        let alias = "a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com";
        assert_eq!(at(&world, alias), Some(Named::Endpoint));
    }
}
