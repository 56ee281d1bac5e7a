//! Partitions, regions and availability zones.

use crate::domain::{Invalid, checked_text};
use std::fmt;
use std::str::FromStr;

/// The AWS partitions that private REST APIs exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// The regions in China.
    AwsCn,
    /// AWS GovCloud (US).
    AwsUsGov,
}

impl Partition {
    /// The partition as it stands in an ARN.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// The DNS suffix of the partition's service names.
    ///
    /// Source: API Gateway developer guide, "Invoke a private API", and its edition for China.
    #[must_use]
    pub const fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Partition {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "aws" => Ok(Self::Aws),
            "aws-cn" => Ok(Self::AwsCn),
            "aws-us-gov" => Ok(Self::AwsUsGov),
            _ => Err(Invalid::new("one of aws, aws-cn, aws-us-gov")),
        }
    }
}

/// A region code such as `eu-west-1`, `cn-north-1` or `us-gov-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(Box<str>);

checked_text!(
    Region,
    "a region code of the partition aws, aws-cn or aws-us-gov, such as eu-west-1, cn-north-1 or us-gov-west-1",
    |text| {
        // area - (gov -)? direction - number
        let parts: Vec<&str> = text.split('-').collect();
        let (area, direction, number) = match parts.as_slice() {
            [area, direction, number] => (*area, *direction, *number),
            ["us", "gov", direction, number] => ("us", *direction, *number),
            _ => return false,
        };
        let letters = |part: &str, from: usize, to: usize| {
            (from..=to).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase())
        };
        letters(area, 2, 2)
            && letters(direction, 4, 9)
            && (1..=2).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
    }
);

impl Region {
    /// The partition the region belongs to; the code's beginning says it.
    #[must_use]
    pub fn partition(&self) -> Partition {
        if self.0.starts_with("cn-") {
            Partition::AwsCn
        } else if self.0.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else {
            Partition::Aws
        }
    }

    /// The host of the regional STS endpoint, the only one an STS interface endpoint answers for.
    ///
    /// Source: IAM user guide, "Using AWS STS interface VPC endpoints".
    #[must_use]
    pub fn sts_host(&self) -> String {
        format!("sts.{}.{}", self.0, self.partition().dns_suffix())
    }
}

/// An availability zone by its AZ ID, such as `euw1-az1`: zone *names* differ between accounts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(std::sync::Arc<str>);

checked_text!(ZoneId, "an AZ ID such as euw1-az1 (not a zone name such as eu-west-1a)", |text| {
    let Some((region, zone)) = text.split_once("-az") else { return false };
    (3..=6).contains(&region.len())
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && region.ends_with(|c: char| c.is_ascii_digit())
        && (1..=2).contains(&zone.len())
        && zone.bytes().all(|b| b.is_ascii_digit())
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_follows_from_the_region() {
        let check = |region: &str, partition, sts: &str| {
            let region: Region = region.parse().unwrap();
            assert_eq!(region.partition(), partition);
            assert_eq!(region.sts_host(), sts);
        };
        check("eu-west-1", Partition::Aws, "sts.eu-west-1.amazonaws.com");
        check("ap-southeast-2", Partition::Aws, "sts.ap-southeast-2.amazonaws.com");
        check("cn-northwest-1", Partition::AwsCn, "sts.cn-northwest-1.amazonaws.com.cn");
        check("us-gov-east-1", Partition::AwsUsGov, "sts.us-gov-east-1.amazonaws.com");
    }

    #[test]
    fn things_that_are_not_regions_or_zones() {
        for bad in ["", "eu-west", "eu-west-1a", "EU-WEST-1", "eu_west_1", "eu-west-one", "global"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
        assert!("euw1-az1".parse::<ZoneId>().is_ok());
        assert!("usgw1-az3".parse::<ZoneId>().is_ok());
        for bad in ["eu-west-1a", "euw1", "euw1-az", "az1", "euw1-azx"] {
            assert!(bad.parse::<ZoneId>().is_err(), "{bad}");
        }
    }
}
