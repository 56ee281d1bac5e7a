//! Amazon resource names of roles, the only ARNs the program takes as input.

use crate::domain::Invalid;
use crate::domain::account::AccountId;
use crate::domain::region::Partition;
use std::fmt;
use std::str::FromStr;

/// A role's ARN: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
///
/// Source: IAM user guide, "IAM identifiers" (names up to 64 characters of `[\w+=,.@-]`, paths up to 512).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleArn {
    partition: Partition,
    account: AccountId,
    /// Path and name without the leading `role/`, for example `team/spokeprobe`.
    path_and_name: Box<str>,
}

/// What a valid role ARN looks like.
pub const ROLE_ARN_WANTED: &str =
    "a role ARN of the partition aws, aws-cn or aws-us-gov, such as arn:aws:iam::111122223333:role/NAME";

/// What a valid role name, with an optional path before it, looks like.
pub const ROLE_NAME_WANTED: &str =
    "a role name of 1 to 64 letters, digits and +=,.@_-, with an optional path before it";

impl RoleArn {
    /// The ARN of a role by name (an optional path before it) in an account.
    ///
    /// # Errors
    /// When the name has characters or a length that IAM does not allow.
    pub fn new(partition: Partition, account: AccountId, path_and_name: &str) -> Result<Self, Invalid> {
        let trimmed = path_and_name.strip_prefix('/').unwrap_or(path_and_name);
        let (path, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        let name_fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
        let path_fits = path.len() <= 510
            && (path.is_empty() || path.split('/').all(|part| !part.is_empty()))
            && path.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if name_fits && path_fits {
            Ok(Self { partition, account, path_and_name: trimmed.into() })
        } else {
            Err(Invalid::new(ROLE_NAME_WANTED))
        }
    }

    /// The partition the role is in.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// The account the role is in.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The role's name without its path, as it stands in the ARN of a session.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path_and_name.rsplit('/').next().unwrap_or(&self.path_and_name)
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:iam::{}:role/{}", self.partition, self.account, self.path_and_name)
    }
}

impl FromStr for RoleArn {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wanted = Invalid::new(ROLE_ARN_WANTED);
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return Err(wanted);
        };
        let name = resource.strip_prefix("role/").ok_or(wanted.clone())?;
        let partition = partition.parse().map_err(|_| wanted.clone())?;
        let account = account.parse().map_err(|_| wanted.clone())?;
        Self::new(partition, account, name).map_err(|_| wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_every_partition_and_paths() {
        for text in [
            "arn:aws:iam::012345678901:role/spokeprobe",
            "arn:aws-cn:iam::111122223333:role/team/net/spokeprobe",
            "arn:aws-us-gov:iam::111122223333:role/a+b=c,d.e@f_g-h",
        ] {
            assert_eq!(text.parse::<RoleArn>().unwrap().to_string(), text);
        }
        let arn: RoleArn = "arn:aws:iam::111122223333:role/team/net/probe".parse().unwrap();
        assert_eq!(arn.name(), "probe");
    }

    #[test]
    fn refuses_what_is_not_a_role() {
        for bad in [
            "",
            "spokeprobe",
            "arn:aws:iam::111122223333:user/me",
            "arn:aws:sts::111122223333:assumed-role/a/b",
            "arn:aws:iam::11112222333:role/a",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::111122223333:role/a//b",
            "arn:moon:iam::111122223333:role/a",
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }
}
