//! AWS account ids.

use crate::domain::checked_text;

/// An AWS account id: 12 digits, leading zeros included, so never a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Box<str>);

checked_text!(AccountId, "12 digits", |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_leading_zeros_and_refuses_everything_else() {
        let id: AccountId = "012345678901".parse().unwrap();
        assert_eq!(id.to_string(), "012345678901");
        for bad in ["", "12345678901", "1234567890123", "12345678901x", "٠١٢٣٤٥٦٧٨٩٠١"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
