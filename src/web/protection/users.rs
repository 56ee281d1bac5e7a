//! Users and their passwords: bcrypt hashes, and how one is compared. Slow on purpose; see `logins` for where and how
//! often it may run.

use crate::domain::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// The highest cost that is accepted: a comparison takes some 4.5 s, and twice that with each step more.
pub(super) const MAX_COST: u32 = 16;
/// The length of every bcrypt hash.
const HASH_BYTES: usize = 60;
/// Passwords beyond this are not compared; bcrypt itself looks at 72 bytes.
const MAX_PASSWORD_BYTES: usize = 1_024;

/// A password's hash in the form `$2y$10$…`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PasswordHash {
    text: Secret,
    cost: u32,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PasswordHash {
    /// Reads a hash, or says what it is instead, without repeating any of it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        if !known {
            return Err("something else (is it the password itself?)".to_owned());
        }
        if text.len() != HASH_BYTES {
            return Err(format!("a bcrypt hash of {} bytes", text.len()));
        }
        let parts: bcrypt::HashParts =
            text.parse().map_err(|_| "a bcrypt hash that cannot be read".to_owned())?;
        match parts.get_cost() {
            cost @ 4..=MAX_COST => Ok(Self { text: Secret::new(text), cost }),
            cost => Err(format!(
                "a cost of {cost}, where 4 to {MAX_COST} are taken (each step doubles the time of a login)"
            )),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one.
    pub(super) fn is_of(&self, password: &str) -> bool {
        // bcrypt repeats a password with a zero byte between, so that one with such bytes has twins.
        let fits = password.len() <= MAX_PASSWORD_BYTES && !password.contains('\0');
        let compared = if fits { password } else { "" };
        bcrypt::verify(compared, self.text()).unwrap_or(false) && fits
    }
}

/// All users, and a hash for names that are none of them.
#[derive(Debug)]
pub(super) struct Users {
    by_name: BTreeMap<String, PasswordHash>,
    stranger: PasswordHash,
    cost: u32,
}

impl Users {
    /// The users of a file.
    pub(super) fn new(by_name: BTreeMap<String, PasswordHash>) -> Self {
        let cost = by_name.values().map(|hash| hash.cost).max().unwrap_or(4);
        // Compared for names that are nobody's, so that time does not tell which names there are. It needs to be no
        // password's hash, only one of the same cost.
        let text = Secret::new(format!("$2b${cost:02}${}", "O".repeat(53)));
        Self { by_name, stranger: PasswordHash { text, cost }, cost }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The highest cost of all hashes: how slow a login may be.
    pub(super) const fn cost(&self) -> u32 {
        self.cost
    }

    /// The hash to compare with, and whether there is such a user.
    pub(super) fn hash_of(&self, name: &str) -> (&PasswordHash, bool) {
        self.by_name.get(name).map_or((&self.stranger, false), |hash| (hash, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `spoke` with cost 4, in each of the three spellings.
    const HASHES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

    fn hash(prefix: &str, password: &str) -> String {
        bcrypt::hash(password, 4).unwrap().replacen("$2b$", prefix, 1)
    }

    #[test]
    fn the_three_spellings_of_bcrypt_are_one() {
        for prefix in HASHES {
            let hash = PasswordHash::read(&hash(prefix, "spoke")).unwrap();
            assert!(hash.is_of("spoke"), "{prefix}");
            for wrong in ["", "Spoke", "spoke ", "spoke\0", "spoke\0spoke"] {
                assert!(!hash.is_of(wrong), "{prefix} {wrong:?}");
            }
            assert_eq!(format!("{hash:?}"), "***");
        }
    }

    #[test]
    fn a_hash_of_another_tool_is_read() {
        // The example of the toolkit's documentation has the form; its password is not told. This one is from the
        // test vectors of OpenBSD's bcrypt: "U*U", cost 5.
        let known =
            PasswordHash::read("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").unwrap();
        assert!(known.is_of("U*U") && !known.is_of("U*U*"));
    }

    #[test]
    fn what_is_no_hash_is_named_without_repeating_it() {
        let long = hash("$2y$", "x") + "x";
        let costly = hash("$2y$", "x").replacen("$04$", "$31$", 1);
        let good = hash("$2y$", "x");
        let odd = format!("{}é{}", &good[..40], &good[42..]);
        for wrong in ["hunter2", "", "{SHA}abc", "$2x$10$abc", "$2y$10$short", &long, &costly, &odd] {
            let said = PasswordHash::read(wrong).unwrap_err();
            assert!(wrong.is_empty() || !said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn a_stranger_is_compared_at_the_same_cost_and_never_let_in() {
        let users = [("a", "$2a$"), ("b", "$2y$")]
            .map(|(name, prefix)| (name.to_owned(), PasswordHash::read(&hash(prefix, name)).unwrap()));
        let users = Users::new(users.into());
        let (stranger, known) = users.hash_of("c");
        assert!(!known && stranger.cost == users.cost());
        // It is a hash that can be read, or the comparison would end at once and tell.
        assert!(stranger.text().parse::<bcrypt::HashParts>().is_ok());
        assert!(users.hash_of("a").1 && !users.hash_of("A").1);
    }
}
