//! How many there are of a thing, in words: `1 spoke`, `2 spokes`.

/// The number with its word, which takes an s unless there is exactly one.
#[must_use]
pub fn of(number: usize, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {word}{s}")
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|number| of(number, "spoke")), ["0 spokes", "1 spoke", "2 spokes"]);
    }
}
