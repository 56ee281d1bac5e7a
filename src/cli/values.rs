//! Values of arguments that several commands take, refused in words that say what is wanted.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// An address to ask or to listen on. A name is none: what it stands for may change.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "wanted an address and a port, such as 127.0.0.1:10403".to_owned())
}

/// A whole number of units, such as seconds.
pub(super) fn whole(
    range: RangeInclusive<u64>,
    units: &'static str,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let wanted = || format!("wanted a whole number of {units} from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_what_is_wanted() {
        assert_eq!(address("127.0.0.1:10403"), Ok(([127, 0, 0, 1], 10403).into()));
        assert!(address("[::1]:1").is_ok());
        for bad in ["localhost:10403", "127.0.0.1", ":10403", ""] {
            assert!(address(bad).unwrap_err().ends_with("such as 127.0.0.1:10403"), "{bad}");
        }
        let seconds = whole(1..=300, "seconds");
        assert_eq!((seconds("1"), seconds("300")), (Ok(1), Ok(300)));
        for bad in ["0", "301", "-1", "1.5", "5s", ""] {
            let told = seconds(bad).unwrap_err();
            assert_eq!(told, "wanted a whole number of seconds from 1 to 300", "{bad}");
        }
    }
}
