//! From a host and a path to an API, its stage and the method's path.

use super::state::Connection;
use super::wire::RawRequest;
use super::world::{Account, Api, Route, World};

/// Where a request is bound.
#[derive(Clone)]
pub(crate) struct Site<'w> {
    pub(crate) account: &'w Account,
    pub(crate) api: &'w Api,
    pub(crate) stage: &'w str,
    /// The path after the stage, as sent; begins with `/`.
    pub(crate) path: String,
}

/// Finds an API the way the endpoint does: by `x-apigw-api-id` beside the endpoint's own name, else by the
/// `Host`. `None` is what the gateway answers `Forbidden` to.
pub(crate) fn find<'w>(world: &'w World, request: &RawRequest, connection: &Connection) -> Option<Site<'w>> {
    let host = request.header_text("host")?.to_ascii_lowercase();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    // No custom domain has a name of AWS's own, so one search is enough: a world may have ten thousand APIs.
    let site = match api_id(world, host, request) {
        Some(id) => by_id(world, &id, request.path())?,
        None => by_domain(world, host, request.path())?,
    };
    // UNCONFIRMED which refusal the strict mode gives; the documentation only says "rejects".
    let strict = site.api.strict_access && connection.tls_name.as_deref().is_some_and(|name| name != host);
    (!site.api.public && !strict).then_some(site)
}

fn api_id(world: &World, host: &str, request: &RawRequest) -> Option<String> {
    let tail = format!(".execute-api.{}.{}", world.region, world.dns_suffix());
    if let Some(label) = host.strip_suffix(&tail) {
        // Either the API's own name or its alias for this endpoint.
        let alias = label.strip_suffix(&format!("-{}", world.endpoint.id));
        return Some(alias.unwrap_or(label).to_owned());
    }
    let of_endpoint = host == world.endpoint_name()
        || world.endpoint.zones.keys().any(|zone| host == world.zonal_name(zone));
    let named = of_endpoint.then(|| request.header_text("x-apigw-api-id")).flatten();
    named.map(str::to_owned)
}

fn by_id<'w>(world: &'w World, id: &str, path: &str) -> Option<Site<'w>> {
    let (account, api) = world.api(id)?;
    let (stage, path) = split_stage(path);
    let stage = api.stages.iter().find(|each| *each == stage)?;
    Some(Site { account, api, stage, path })
}

fn by_domain<'w>(world: &'w World, host: &str, path: &str) -> Option<Site<'w>> {
    world.apis().find_map(|(account, api)| {
        let domain = api.domain.as_ref().filter(|domain| domain.name.eq_ignore_ascii_case(host))?;
        let rest = if domain.base_path.is_empty() {
            path
        } else {
            path.strip_prefix('/')?.strip_prefix(domain.base_path.as_str())?
        };
        let path = match rest {
            "" => "/".to_owned(),
            rest if rest.starts_with('/') => rest.to_owned(),
            _ => return None,
        };
        let stage = api.stages.iter().find(|each| **each == domain.stage)?;
        Some(Site { account, api, stage, path })
    })
}

fn split_stage(path: &str) -> (&str, String) {
    let rest = path.trim_start_matches('/');
    let (stage, rest) = rest.split_once('/').unwrap_or((rest, ""));
    (stage, format!("/{rest}"))
}

impl<'w> Site<'w> {
    /// The method's ARN (API Gateway developer guide, "Resource format of permissions for executing API").
    pub(crate) fn arn(&self, world: &World, method: &str) -> String {
        format!(
            "arn:{}:execute-api:{}:{}:{}/{}/{method}{}",
            world.partition(),
            world.region,
            self.account.id,
            self.api.id,
            self.stage,
            self.path
        )
    }

    /// The method of the API, if it has it: an exact path wins over one with parameters.
    pub(crate) fn route(&self, method: &str) -> Option<&'w Route> {
        let fits = |route: &&Route| route.method == method || route.method == "ANY";
        let routes = || self.api.routes.iter().filter(fits);
        routes()
            .find(|route| trimmed(&route.path) == trimmed(&self.path))
            .or_else(|| routes().find(|route| matches(&route.path, &self.path)))
    }
}

/// A trailing slash makes no other path, but the root is only itself.
fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = trimmed(path).split('/').skip(1);
    for wanted in trimmed(pattern).split('/').skip(1) {
        if wanted.starts_with('{') && wanted.ends_with("+}") {
            return segments.next().is_some_and(|segment| !segment.is_empty());
        }
        let Some(found) = segments.next() else { return false };
        let decoded = percent_encoding::percent_decode_str(found).decode_utf8_lossy();
        let parameter = wanted.starts_with('{') && wanted.ends_with('}') && !found.is_empty();
        if !parameter && wanted != decoded {
            return false;
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_patterns() {
        assert_eq!(split_stage("/api/"), ("api", "/".into()));
        assert_eq!(split_stage("/api"), ("api", "/".into()));
        assert_eq!(split_stage("/api/greet/x"), ("api", "/greet/x".into()));
        for (pattern, path, fits) in [
            ("/", "/", true),
            ("/orders/{id}", "/orders/7", true),
            ("/orders/{id}", "/orders/", false),
            ("/orders/{id}", "/orders/7/items", false),
            ("/files/{proxy+}", "/files/a/b", true),
            ("/files/{proxy+}", "/files", false),
            ("/a b", "/a%20b", true),
            ("/a", "/A", false),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
    }
}
