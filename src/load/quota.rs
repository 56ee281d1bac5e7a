//! What API Gateway lets through for one account in one region, unless AWS has raised it. Pure.

use crate::domain::region::Region;

/// The throttle of an account in a region, over all its APIs together. It is the quota of the account that owns
/// the API, so a load run takes from what the spoke's own callers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Steady requests a second.
    pub requests_per_second: u32,
    /// What the token bucket holds: requests that may come at once.
    pub burst: u32,
}

const LARGE: Quota = Quota { requests_per_second: 10_000, burst: 5_000 };
const SMALL: Quota = Quota { requests_per_second: 2_500, burst: 1_250 };

/// Regions with the large quota. "Amazon API Gateway quotas" lists the exceptions instead: Cape Town, Milan,
/// Jakarta, UAE, Hyderabad, Melbourne, Spain, Zurich, Tel Aviv, Calgary, Malaysia, Thailand and Mexico. The list is
/// turned round here so that a region opened after this was written counts as small: every region of the last
/// years was, and to believe too little harms nobody. The page for China names the same exceptions; that the regions
/// of the US government have the large quota is UNCONFIRMED.
const LARGE_REGIONS: [&str; 21] = [
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The default quota of an account in a region ("Amazon API Gateway quotas"). An account may have been given more;
/// nothing here asks AWS.
#[must_use]
pub fn account_quota(region: &Region) -> Quota {
    let region = region.as_str();
    if LARGE_REGIONS.contains(&region) || region.starts_with("us-gov-") { LARGE } else { SMALL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_and_unknown_regions_have_the_small_quota() {
        let of = |region: &str| account_quota(&region.parse().unwrap());
        for large in ["eu-west-1", "us-east-1", "ap-east-1", "cn-north-1", "us-gov-west-1"] {
            assert_eq!(of(large), LARGE, "{large}");
        }
        // All that the page lists, and one that does not exist yet.
        for small in [
            "af-south-1",
            "eu-south-1",
            "ap-southeast-3",
            "me-central-1",
            "ap-south-2",
            "ap-southeast-4",
            "eu-south-2",
            "eu-central-2",
            "il-central-1",
            "ca-west-1",
            "ap-southeast-5",
            "ap-southeast-7",
            "mx-central-1",
            "eu-west-9",
        ] {
            assert_eq!(of(small), SMALL, "{small}");
        }
    }
}
