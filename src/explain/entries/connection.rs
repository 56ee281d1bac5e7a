//! What keeps a request from reaching anybody.

use super::super::{Entry, Owner, Step, act, documented, look, measured, observed, pages, unconfirmed};
use crate::domain::outcome::Reason;

const READ_ENDPOINT: Step = look(
    "Look at the endpoint: it should be available, with private DNS as you expect it.",
    "aws ec2 describe-vpc-endpoints --vpc-endpoint-ids VPCE_ID \
     --query 'VpcEndpoints[0].[State,PrivateDnsEnabled,SubnetIds,Groups,DnsEntries]'",
);

const RESOLVE: Step = look(
    "Resolve the name from the agent's own subnet.",
    "dig +short API_ID.execute-api.REGION.amazonaws.com",
);

pub(super) const DNS: Entry = Entry {
    reason: Reason::Dns,
    more: "Nothing was sent.",
    evidence: &[
        measured("The resolver gave no address, or an error, or nothing in time."),
        documented("Private DNS needs enableDnsSupport and enableDnsHostnames of the VPC."),
    ],
    causes: &[
        "Private DNS of the endpoint is off and the api's addressing needs it.",
        "The VPC's DNS attributes are off, or it uses resolvers of its own that do not ask AWS.",
        "alias addressing: the endpoint is not associated with the API, or that is minutes old.",
        "The API was deleted, or its id, region or partition (.com.cn) is wrong.",
    ],
    owners: &[Owner::Network, Owner::Hub, Owner::Spoke],
    steps: &[
        RESOLVE,
        READ_ENDPOINT,
        look(
            "Check the VPC.",
            "aws ec2 describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsHostnames; aws ec2 \
             describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsSupport",
        ),
        act("Look whether all spokes have it (DNS, endpoint) or one (its API)."),
        look(
            "For alias: see which endpoints the API is associated with.",
            "aws apigateway get-rest-api --rest-api-id API_ID --query endpointConfiguration.vpcEndpointIds",
        ),
    ],
    statement: None,
    looks_like: &["dns_public_address: an answer came, but it leads out of the VPC."],
    pages: &[pages::PRIVATE_API_CREATE, pages::PRIVATE_API_INVOKE],
    further_query: None,
};

pub(super) const DNS_PUBLIC_ADDRESS: Entry = Entry {
    reason: Reason::DnsPublicAddress,
    more: "A signed request to a public address would leave the private path, so the agent does not send it.",
    evidence: &[measured(
        "No address of the answer is in a private range, in hub.endpoint.cidrs or in zones.",
    )],
    causes: &[
        "Private DNS of the endpoint is off, or was turned off.",
        "The agent asks a resolver outside the VPC.",
        "The endpoint lies in another VPC and no private zone was shared with this one.",
        "The VPC uses public addresses privately; then name them in hub.endpoint.cidrs.",
    ],
    owners: &[Owner::Hub, Owner::Network],
    steps: &[
        RESOLVE,
        READ_ENDPOINT,
        look(
            "Turn private DNS on, if nothing in the VPC calls public APIs by their default names: those stop working.",
            "aws ec2 modify-vpc-endpoint --vpc-endpoint-id VPCE_ID --private-dns-enabled",
        ),
        act("Or address the apis in another way: endpoint_dns, api_id_header."),
    ],
    statement: None,
    looks_like: &["not_private: it was sent and came back through CloudFront."],
    pages: &[pages::VPC_CONNECTIONS, pages::PRIVATE_API_INVOKE],
    further_query: None,
};

pub(super) const CONNECT_TIMEOUT: Entry = Entry {
    reason: Reason::ConnectTimeout,
    more: "Packets to port 443 of the endpoint get no answer.",
    evidence: &[
        measured("No TCP connection within 10 seconds or the probe's timeout."),
        documented("The endpoint's security group must let the client reach port 443."),
    ],
    causes: &[
        "The endpoint's security group does not let the agent's in: a new subnet, a new group.",
        "A network ACL or a route between the two.",
        "One zone's network interface is gone or its zone is in trouble.",
    ],
    owners: &[Owner::Network, Owner::Hub],
    steps: &[
        READ_ENDPOINT,
        look(
            "Check its security groups for port 443 from the agent.",
            "aws ec2 describe-security-group-rules --filters Name=group-id,Values=SECURITY_GROUP",
        ),
        act(
            "Name the zones under hub.endpoint.zones and probe per_zone, to see whether it is one zone or all.",
        ),
        act("All spokes at once: it is the endpoint or the agent's network, not a spoke."),
    ],
    statement: None,
    looks_like: &[
        "connect_refused: somebody says no, instead of nobody saying anything.",
        "response_timeout.",
    ],
    pages: &[pages::PRIVATE_API_CREATE],
    further_query: None,
};

pub(super) const CONNECT_REFUSED: Entry = Entry {
    reason: Reason::ConnectRefused,
    more: "An endpoint of AWS does not do that, so the address is likely not the endpoint's.",
    evidence: &[measured("The operating system said: refused, or no route to host or network.")],
    causes: &[
        "hub.endpoint.url or an address in zones leads to another machine or port.",
        "A firewall rejects instead of dropping.",
        "The agent's machine has no route.",
    ],
    owners: &[Owner::Network, Owner::Agent],
    steps: &[
        act("Compare the address in the message with the endpoint's addresses."),
        READ_ENDPOINT,
        look("Check route and port from the agent's machine.", "ip route get ADDRESS; nc -vz ADDRESS 443"),
    ],
    statement: None,
    looks_like: &["connect_timeout: no answer at all."],
    pages: &[],
    further_query: None,
};

pub(super) const TLS: Entry = Entry {
    reason: Reason::Tls,
    more: "The connection stood, and the two sides agreed on nothing, or something in between spoke no TLS.",
    evidence: &[
        measured("An alert or an end during the handshake, before any certificate was refused."),
        documented("An API's security policy may allow TLS 1.3 only, or a few ciphers."),
        unconfirmed(
            "How STRICT access mode refuses a TLS name other than the Host: as an alert or as a status.",
        ),
    ],
    causes: &[
        "A firewall that inspects TLS, or a plain-text port.",
        "The security policy of the API or domain was changed; that takes some 15 minutes to be true everywhere.",
        "Access mode STRICT with an addressing whose TLS name is not the Host (endpoint_dns, api_id_header).",
    ],
    owners: &[Owner::Spoke, Owner::Network],
    steps: &[
        look(
            "See what is offered.",
            "openssl s_client -connect ADDRESS:443 -servername HOST -tls1_2 </dev/null",
        ),
        look(
            "Read policy and access mode (with a recent AWS CLI).",
            "aws apigateway get-rest-api --rest-api-id API_ID --query '[securityPolicy,endpointAccessMode]'",
        ),
        act("With STRICT use private_dns or alias."),
    ],
    statement: None,
    looks_like: &["certificate: the handshake got as far as a certificate, and that was refused.", "reset."],
    pages: &[pages::SECURITY_POLICIES, pages::PRIVATE_APIS],
    further_query: None,
};

pub(super) const CERTIFICATE: Entry = Entry {
    reason: Reason::Certificate,
    more: "It is for another name, from an unknown authority, or outside its time. Nothing was sent to it.",
    evidence: &[
        measured(
            "The check of the server's certificate against the name asked for and the known authorities.",
        ),
        observed("The endpoint's own certificate is for *.execute-api.REGION.amazonaws.com."),
    ],
    causes: &[
        "A firewall or proxy shows a certificate of its own.",
        "The name connected to is one that the certificate does not have: a load balancer's, an alias of your own.",
        "The private domain's certificate has expired.",
        "The agent's clock is wrong by days.",
        "An authority of your own that the agent does not know: hub.endpoint.ca_file.",
    ],
    owners: &[Owner::Network, Owner::Spoke, Owner::Agent],
    steps: &[
        look(
            "Look at the certificate.",
            "openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName",
        ),
        act(
            "If the issuer is not Amazon, somebody stands in between; if that is wanted, name its authority in \
             ca_file.",
        ),
        look(
            "For a private custom domain, check its certificate.",
            "aws acm describe-certificate --certificate-arn CERTIFICATE --query 'Certificate.[Status,NotAfter]'",
        ),
    ],
    statement: None,
    looks_like: &["tls: no agreement on version or cipher."],
    pages: &[pages::PRIVATE_API_INVOKE],
    further_query: None,
};

pub(super) const RESET: Entry = Entry {
    reason: Reason::Reset,
    more: "A kept connection that was closed meanwhile is tried once more for GET and HEAD before this is said, so \
           one of these is more than an idle timeout.",
    evidence: &[
        measured("The connection ended after the request was written and before any byte of an answer."),
        documented("An endpoint drops connections that are idle for 350 seconds; the agent keeps them 45."),
    ],
    causes: &[
        "A firewall or NAT between agent and endpoint forgets or kills connections.",
        "The endpoint or the gateway closed a connection just then; alone and rare this is noise.",
        "A POST on a kept connection, which is never sent twice. connection: fresh avoids that.",
    ],
    owners: &[Owner::Network, Owner::Aws],
    steps: &[
        act("Look how often, and whether on all spokes: rare and scattered needs nothing."),
        act(
            "Look at retries with the query below: many of them mean that something closes idle connections early.",
        ),
        act("Look for a firewall's or NAT's idle time under 45 seconds on the way."),
    ],
    statement: None,
    looks_like: &[
        "protocol: bytes of an answer came, then the end.",
        "tls: the end came during the handshake.",
    ],
    pages: &[pages::LONG_CONNECTIONS],
    further_query: Some("sum by (spoke) (rate(spokeprobe_connection_retries_total[15m]))"),
};

pub(super) const PROTOCOL: Entry = Entry {
    reason: Reason::Protocol,
    more: "Something answered that is not a whole answer of HTTP/1.1.",
    evidence: &[measured(
        "Bytes that are no HTTP, a status outside 100 to 599, or an end before the announced length.",
    )],
    causes: &[
        "The connection broke in the middle of an answer.",
        "The address leads to something that speaks another protocol.",
        "A proxy that changes lengths or encodings.",
    ],
    owners: &[Owner::Network, Owner::Aws],
    steps: &[
        look("Try it by hand.", "spokeprobe call SPOKE/API METHOD PATH -v"),
        act(
            "If it happens now and then and to large answers only, look at the MTU and at firewalls on the way.",
        ),
        act("If always, check where the address leads."),
    ],
    statement: None,
    looks_like: &[
        "reset: not even a first byte came.",
        "response_timeout: the rest never came, but nobody closed.",
    ],
    pages: &[],
    further_query: None,
};
