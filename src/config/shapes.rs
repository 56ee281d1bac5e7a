//! The forms of single values that several keys share, as the schema and the problems describe them.
//!
//! The patterns are for editors; what is accepted is decided by the domain types.

use crate::config::keys::Shape;
use crate::domain::account::AccountId;
use crate::domain::api::{ApiId, DnsName, StageName, VpcEndpointId};
use crate::domain::arn::{ROLE_ARN_WANTED, ROLE_NAME_WANTED};
use crate::domain::name::Name;
use crate::domain::region::Region;

pub(crate) const REGION: Shape = Shape::form("^[a-z]{2}(-gov)?-[a-z]{4,9}-[0-9]{1,2}$", Region::WANTED);
pub(crate) const ROLE_ARN: Shape =
    Shape::form("^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/.+$", ROLE_ARN_WANTED);
pub(crate) const ROLE_NAME: Shape = Shape::form("^[^:]+$", ROLE_NAME_WANTED);
pub(crate) const ROLE: Shape = Shape::text("a role name, or a role ARN in the spoke's account");
pub(crate) const ACCOUNT: Shape = Shape::form("^[0-9]{12}$", AccountId::WANTED);
pub(crate) const ORGANIZATION_ID: Shape =
    Shape::form("^o-[a-z0-9]{10,32}$", "an organisation id, o- and 10 to 32 lower-case letters and digits");
pub(crate) const ORGANIZATION_PATH: Shape =
    Shape::form("^o-", "a path such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*");
pub(crate) const ENDPOINT_ID: Shape = Shape::form("^vpce-([0-9a-f]{8}|[0-9a-f]{17})$", VpcEndpointId::WANTED);
pub(crate) const ADDRESSING_WORDS: [&str; 4] = ["private_dns", "endpoint_dns", "api_id_header", "alias"];
pub(crate) const ADDRESSING: Shape = Shape::Word(&ADDRESSING_WORDS);
pub(crate) const DNS_NAME: Shape = Shape::text(DnsName::WANTED);
pub(crate) const ZONE_ADDRESS: Shape =
    Shape::text("an IP address or a zonal DNS name, such as 10.0.1.17 or 10.0.1.17:8443");
pub(crate) const CIDR: Shape = Shape::text("a range such as 10.0.0.0/16");
pub(crate) const ENDPOINT_URL: Shape =
    Shape::form("^https?://[^/?#]+/?$", "a URL such as https://127.0.0.1:8443");
pub(crate) const STS_URL: Shape =
    Shape::form("^https?://", "a URL such as https://sts.eu-west-1.amazonaws.com");
pub(crate) const FILE: Shape = Shape::text("a path, relative to the main file");
pub(crate) const NAME: Shape = Shape::form("^[a-z0-9][a-z0-9-]{0,62}$", Name::WANTED);
pub(crate) const API_ID: Shape = Shape::form("^[a-z0-9]{10}$", ApiId::WANTED);
pub(crate) const STAGE: Shape = Shape::form("^[A-Za-z0-9_-]{1,128}$", StageName::WANTED);
pub(crate) const BASE_PATH: Shape =
    Shape::text("a base path of letters, digits and $-_.+!*'(), without slashes around it");
pub(crate) const SESSION_NAME: Shape =
    Shape::form("^[A-Za-z0-9_+=,.@-]{2,64}$", "2 to 64 letters, digits and _+=,.@-");
pub(crate) const EXTERNAL_ID: Shape =
    Shape::form("^[A-Za-z0-9_+=,.@:/-]{2,1224}$", "2 to 1224 letters, digits and _+=,.@:/-");
pub(crate) const LISTEN: Shape = Shape::text("an address and a port, such as 127.0.0.1:10403");
pub(crate) const REQUEST: Shape =
    Shape::form("^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /", "a method and a path, such as GET /pets");
pub(crate) const IDENTITY: Shape = Shape::form(
    "^(spoke|hub|anonymous|spoke:[a-z0-9][a-z0-9-]{0,62})$",
    "one of spoke, hub, anonymous, spoke:NAME",
);
pub(crate) const HEADER_VALUE: Shape = Shape::text("a header value of visible characters");
pub(crate) const LABEL_VALUE: Shape =
    Shape::text("a text of at most 256 characters, without control characters");
pub(crate) const TAG_VALUE: Shape = Shape::text("a text of at most 256 characters");
pub(crate) const BODY: Shape = Shape::text("a text");
pub(crate) const STATUS: Shape = Shape::Integer(100, 599);
pub(crate) const GLOB: Shape = Shape::text("a path or a pattern such as spokes.d/*.yaml");
pub(crate) const SESSION_DURATION: Shape = Shape::Duration("15m", "12h");
pub(crate) const EVERY: Shape = Shape::Duration("1s", "24h");
pub(crate) const TIMEOUT: Shape = Shape::Duration("100ms", "5m");
pub(crate) const PROBE_PATH: Shape = Shape::form(
    "^[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}$",
    "a probe of the configuration as SPOKE/API/PROBE, such as payments/hoot/hello",
);
pub(crate) const TIME_OF_DAY: Shape =
    Shape::form("^([01][0-9]|2[0-3]):[0-5][0-9]$", "a time of day in UTC from \"00:00\" to \"23:59\"");
pub(crate) const STOP_FILE: Shape =
    Shape::form("^/.", "an absolute path, such as /run/spokeprobe/stop-loads");
pub(crate) const MEMBERS_DNS: Shape = Shape::text(
    "a host name such as agent.spokeprobe.internal, or the name of a service such as _spokeprobe._tcp.internal",
);
pub(crate) const SHARD: Shape =
    Shape::form("^[0-9]{1,3}/[0-9]{1,3}$", "a number and how many there are, such as 1/3, at most 256");
