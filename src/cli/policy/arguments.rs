//! The arguments of `policy`.

use crate::cli::ConfigArgs;
use crate::policy::{ApiBehind, Place, PrincipalForm};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Arguments of `policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe policy vpc-endpoint                           who may pass the shared endpoint
  spokeprobe policy trust payments                         who may assume the role of this spoke
  spokeprobe policy permissions --json | jq .payments      what the role may call
  spokeprobe policy resource payments/hoot --merge now.json > next.json
  spokeprobe policy hub --against role.json                is the agent's own role as it should be?

What is printed are statements to add to the policies that are there: each Sid begins with Spokeprobe, and none
denies anything. A policy of these statements alone shuts out every other caller. Touches no network.

Exit status: 0 printed, or nothing missing and nothing too wide; 1 --against found something; 2 for a usage or
configuration error, or a policy that AWS would refuse.")]
pub(in crate::cli) struct PolicyArgs {
    #[command(subcommand)]
    pub(super) kind: Kind,
}

#[derive(Debug, Subcommand)]
pub(super) enum Kind {
    /// The policy of the shared endpoint: each role with the methods that its probes call
    #[command(after_help = "\
Examples:
  spokeprobe policy vpc-endpoint
  spokeprobe policy vpc-endpoint --pattern                 by role name and organisation
  aws ec2 describe-vpc-endpoints --vpc-endpoint-ids vpce-0123456789abcdef0 --output text \\
    --query 'VpcEndpoints[0].PolicyDocument' | spokeprobe policy vpc-endpoint --merge - > next.json")]
    VpcEndpoint {
        /// Name roles by their name in the organisation, not one by one; needs hub.organization.id
        #[arg(long)]
        pattern: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// The trust policy of each role that the agent assumes
    #[command(after_help = "\
Examples:
  spokeprobe policy trust payments
  aws iam get-role --role-name spokeprobe --query Role.AssumeRolePolicyDocument \\
    | spokeprobe policy trust payments --against -")]
    Trust {
        /// Only this spoke
        #[arg(value_name = "SPOKE")]
        of: Option<String>,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        shared: Shared,
    },
    /// The permissions of each role: the methods that its probes call
    #[command(after_help = "\
Examples:
  spokeprobe policy permissions payments
  spokeprobe policy permissions --isolation --json         also what each role must be refused at")]
    Permissions {
        /// Only this spoke
        #[arg(value_name = "SPOKE")]
        of: Option<String>,
        /// Also let each role call the apis that it must be refused at, so that only they and the endpoint refuse it
        #[arg(long)]
        isolation: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// The resource policy of each api: who may call it through the shared endpoint
    #[command(after_help = "\
Examples:
  spokeprobe policy resource payments/hoot
  spokeprobe policy resource --json | jq '.[\"payments/hoot\"]'
  aws apigateway get-rest-api --rest-api-id a1b2c3d4e5 --query policy \\
    | spokeprobe policy resource payments/hoot --merge - > next.json

An api takes a changed policy only when its stage is deployed again.")]
    Resource {
        /// Only this spoke, or this api
        #[arg(value_name = "SPOKE[/API]")]
        of: Option<String>,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        shared: Shared,
    },
    /// The permissions of the agent's own role: to assume exactly the roles in use
    #[command(after_help = "\
Examples:
  spokeprobe policy hub > hub.json
  spokeprobe policy hub --json                             for many spokes: hub-1, hub-2, … as managed policies")]
    Hub {
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// How a role is named: by a condition on its ARN, or by its ARN as principal, which breaks when it is made again
    #[arg(long, value_enum, default_value_t = Form::Condition)]
    pub(super) principal: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Condition,
    RoleArn,
}

#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Print FILE with our statements added or replaced; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "json"])]
    pub(super) merge: Option<PathBuf>,
    /// Say what FILE lacks of our statements, or allows too much; may be repeated for policies that count together
    #[arg(long, value_name = "FILE")]
    pub(super) against: Vec<PathBuf>,
    /// What stands behind the custom domain name of an api; may be repeated
    #[arg(long, value_name = "SPOKE/API=ID/STAGE", value_parser = behind)]
    pub(super) behind: Vec<ApiBehind>,
    /// Print one JSON object: policies by spoke or spoke/api, or the findings of --against
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

fn behind(text: &str) -> Result<ApiBehind, String> {
    let wanted = || "wanted SPOKE/API=ID/STAGE, such as orders/store=a1b2c3d4e5/live".to_owned();
    let (name, what) = text.split_once('=').ok_or_else(wanted)?;
    let (spoke, api) = name.split_once('/').ok_or_else(wanted)?;
    let (id, stage) = what.split_once('/').ok_or_else(wanted)?;
    let said = |invalid: crate::domain::Invalid| invalid.to_string();
    Ok(ApiBehind {
        spoke: spoke.parse().map_err(said)?,
        api: api.parse().map_err(said)?,
        id: id.parse().map_err(said)?,
        stage: stage.parse().map_err(said)?,
    })
}

impl Kind {
    pub(super) fn shared(&self) -> &Shared {
        match self {
            Self::VpcEndpoint { shared, .. }
            | Self::Trust { shared, .. }
            | Self::Permissions { shared, .. }
            | Self::Resource { shared, .. }
            | Self::Hub { shared } => shared,
        }
    }

    pub(super) fn of(&self) -> Option<&str> {
        match self {
            Self::Trust { of, .. } | Self::Permissions { of, .. } | Self::Resource { of, .. } => {
                of.as_deref()
            }
            Self::VpcEndpoint { .. } | Self::Hub { .. } => None,
        }
    }

    /// Where a policy of this kind stands.
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::VpcEndpoint { .. } => Place::Endpoint,
            Self::Trust { .. } => Place::Trust,
            Self::Permissions { .. } => Place::Role,
            Self::Resource { .. } => Place::Api,
            Self::Hub { .. } => Place::Hub,
        }
    }

    /// What to know about every policy of this kind.
    pub(super) fn advice(&self) -> Vec<&'static str> {
        let mut advice = vec![match self {
            Self::VpcEndpoint { .. } => {
                "statements to add: applied alone, they shut out every other caller of the endpoint (see --merge)"
            }
            Self::Trust { .. } => {
                "statements to add: applied alone, they shut out everybody else who assumes the role (see --merge)"
            }
            Self::Resource { .. } => {
                "statements to add: applied alone, they shut out every other caller of the api (see --merge); they fit \
                 methods with IAM authorization, and count once the stage is deployed again"
            }
            Self::Permissions { .. } | Self::Hub { .. } => {
                "statements to add: put in the place of a policy that is there, they take away what it allowed (attach \
                 them beside it, or see --merge)"
            }
        }];
        if let Self::Trust { named, .. } | Self::Resource { named, .. } = self
            && named.principal == Form::RoleArn
        {
            advice.push(
                "a principal that names a role is stored as the role's unique id: when the role is deleted and made again, \
                 the statement stops matching and nobody tells",
            );
        }
        advice
    }
}

impl Named {
    pub(super) fn form(&self) -> PrincipalForm {
        match self.principal {
            Form::Condition => PrincipalForm::Condition,
            Form::RoleArn => PrincipalForm::RoleArn,
        }
    }
}
