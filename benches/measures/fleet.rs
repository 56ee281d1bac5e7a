//! A simulated AWS with as many spokes, apis and probes as wanted, and the configuration that fits it.
//!
//! Every probe is signed by its spoke's role and allowed by each layer, so that every layer is evaluated and
//! the answer is the ordinary one: a small JSON body that is compared.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The size of a fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet {
    /// Spokes, each with an account and a role of its own.
    pub(crate) spokes: usize,
    /// Apis in each spoke.
    pub(crate) apis: usize,
    /// Probes of each api.
    pub(crate) probes: usize,
    /// When a probe fires, as in the configuration.
    pub(crate) cadence: &'static str,
    /// How apis are called, as in the configuration.
    pub(crate) addressing: &'static str,
    /// How long one spoke in ten lets each call hang before it is given up, in milliseconds; 0 for none that hangs.
    pub(crate) hang_ms: u32,
}

/// Where the agent connects instead of AWS.
pub(crate) struct Outside<'a> {
    pub(crate) endpoint_url: &'a str,
    pub(crate) ca_file: &'a str,
    pub(crate) sts_url: &'a str,
}

const HUB: &str = "111122223333";
const ENDPOINT: &str = "vpce-0123456789abcdef0";

/// Of so many spokes one hangs, where any does.
const HANGS_ONE_IN: usize = 10;

/// What a configuration has that does not say how apis are called.
const PRIVATE_DNS: &str = "private_dns";

impl Fleet {
    /// So many spokes, apis in each and probes of each of those, all of which answer at once.
    pub(crate) const fn new(spokes: usize, apis: usize, probes: usize, cadence: &'static str) -> Self {
        Self { spokes, apis, probes, cadence, addressing: PRIVATE_DNS, hang_ms: 0 }
    }

    /// An api, and so a host name, for each target: ten in each spoke.
    pub(crate) const fn of_apis(targets: usize, cadence: &'static str, addressing: &'static str) -> Self {
        Self { addressing, ..Self::new(targets / 10, 10, 1, cadence) }
    }

    /// Whether calls of a spoke hang.
    pub(crate) const fn hangs(self, spoke: usize) -> bool {
        self.hang_ms > 0 && spoke % HANGS_ONE_IN == HANGS_ONE_IN - 1
    }

    /// 50 targets in each of so many spokes: 5 apis of 10 probes.
    pub(crate) const fn of_targets(targets: usize, cadence: &'static str) -> Self {
        Self::new(targets / 50, 5, 10, cadence)
    }

    pub(crate) const fn targets(self) -> usize {
        self.spokes * self.apis * self.probes
    }

    /// The world that answers.
    pub(crate) fn world(self) -> String {
        let mut text = format!(
            r#"region: eu-west-1
hub: {{account: "{HUB}", role: spokeprobe-hub}}
endpoint:
  id: vpce-0123456789abcdef0
  policy: {{Version: "2012-10-17", Statement: [{{Effect: Allow, Principal: "*", Action: execute-api:Invoke, Resource: "*", Condition: {{StringEquals: {{aws:PrincipalOrgID: o-a1b2c3d4e5}}}}}}]}}
accounts:
  - id: "{HUB}"
    organization: o-a1b2c3d4e5
    roles:
      - name: spokeprobe-hub
        policies: [{{Version: "2012-10-17", Statement: [{{Effect: Allow, Action: sts:AssumeRole, Resource: "*"}}]}}]
"#
        );
        for spoke in 0..self.spokes {
            let account = account(spoke);
            let integration = if self.hangs(spoke) {
                format!("timeout, latency: {}ms", self.hang_ms)
            } else {
                "{json: {hello: world}}".to_owned()
            };
            let _written = write!(
                text,
                r#"  - id: "{account}"
    organization: o-a1b2c3d4e5
    roles:
      - name: spokeprobe
        trust: {{Version: "2012-10-17", Statement: [{{Effect: Allow, Principal: {{AWS: "arn:aws:iam::{HUB}:root"}}, Action: sts:AssumeRole, Condition: {{StringEquals: {{sts:ExternalId: spokeprobe-{spoke}}}}}}}]}}
        policies: [{{Version: "2012-10-17", Statement: [{{Effect: Allow, Action: execute-api:Invoke, Resource: "arn:aws:execute-api:eu-west-1:{account}:*"}}]}}]
    apis:
"#
            );
            for api in 0..self.apis {
                let _written = write!(
                    text,
                    r#"      - id: {}
        stages: [api]
        resource_policy: {{Version: "2012-10-17", Statement: [{{Effect: Allow, Principal: "*", Action: execute-api:Invoke, Resource: "execute-api:/*", Condition: {{StringEquals: {{aws:SourceVpce: vpce-0123456789abcdef0}}}}}}]}}
        routes: [{{method: GET, path: /, authorization: AWS_IAM, integration: {integration}}}]
"#,
                    api_id(spoke, api)
                );
            }
        }
        text
    }

    /// The agent's configuration; without an outside for the hub in memory.
    pub(crate) fn config(self, outside: Option<&Outside<'_>>, listen: SocketAddr) -> String {
        let mut text = format!(
            "hub:\n  region: eu-west-1\n  endpoint:\n    id: {ENDPOINT}\n    addressing: {}\n    dns_name: \
             {ENDPOINT}-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com\n",
            self.addressing
        );
        if let Some(Outside { endpoint_url, ca_file, sts_url }) = outside {
            let _written = write!(
                text,
                "    url: {endpoint_url}\n    ca_file: {ca_file}\n  sts: {{endpoint_url: {sts_url}}}\n"
            );
        }
        let _written = write!(text, "web: {{listen: \"{listen}\"}}\nspokes:\n");
        for spoke in 0..self.spokes {
            let _written = write!(
                text,
                "  - name: spoke-{spoke}\n    account: \"{}\"\n    external_id: spokeprobe-{spoke}\n    \
                 labels: {{team: team-{}}}\n    apis:\n",
                account(spoke),
                spoke % 10
            );
            for api in 0..self.apis {
                let id = api_id(spoke, api);
                let _written = write!(
                    text,
                    "      - name: api-{api}\n        id: {id}\n        stage: api\n        max_rate: 100/s\n        \
                     probes:\n"
                );
                for probe in 0..self.probes {
                    let _written = writeln!(
                        text,
                        "          - {{name: probe-{probe}, request: GET /, {}, expect: {{status: 200, json: \
                         {{hello: world}}}}}}",
                        self.cadence
                    );
                }
            }
        }
        text
    }
}

fn account(spoke: usize) -> String {
    format!("{:012}", 200_000_000_000 + spoke)
}

fn api_id(spoke: usize, api: usize) -> String {
    format!("a{:09}", spoke * 1_000 + api)
}
