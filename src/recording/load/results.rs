//! How attempts ended, counted by code and reason: small, bounded, and quick for the result that comes all the time.

use crate::domain::outcome::Reason;
use crate::recording::RESULTS_PER_TARGET;
use crate::recording::load::LoadResult;

/// Counts by code and reason, at most as many as a target may have; beyond, a new code counts as the first of its
/// class, so that a far side with ever new codes costs neither series nor time.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    found: Vec<LoadResult>,
    /// Where the last one was: nearly always where the next one is.
    last: usize,
}

impl Results {
    /// Counts one.
    pub(super) fn count(&mut self, code: Option<u16>, reason: Reason, expected: bool) {
        let at = self.place(code, reason);
        if let Some(result) = self.found.get_mut(at) {
            result.count += 1;
            result.expected += u64::from(expected);
        }
        self.last = at;
    }

    /// All, in the order in which they came first.
    pub(super) fn all(&self) -> &[LoadResult] {
        &self.found
    }

    fn place(&mut self, code: Option<u16>, reason: Reason) -> usize {
        let is = |known: &LoadResult, code| (known.code, known.reason) == (code, reason);
        if self.found.get(self.last).is_some_and(|known| is(known, code)) {
            return self.last;
        }
        if let Some(at) = self.found.iter().position(|known| is(known, code)) {
            return at;
        }
        let mut code = code;
        if self.found.len() >= RESULTS_PER_TARGET {
            code = code.map(|code| code / 100 * 100);
            if let Some(at) = self.found.iter().position(|known| is(known, code)) {
                return at;
            }
        }
        self.found.push(LoadResult { code, reason, count: 0, expected: 0 });
        self.found.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_side_with_ever_new_codes_is_counted_by_class() {
        let mut results = Results::default();
        for code in (400..600).chain(400..600) {
            results.count(Some(code), Reason::UnexpectedStatus, code == 404);
        }
        assert!(results.all().len() <= RESULTS_PER_TARGET + 5, "{}", results.all().len());
        assert_eq!(results.all().iter().map(|result| result.count).sum::<u64>(), 400);
        let of = |code| results.all().iter().find(|result| result.code == Some(code)).unwrap();
        assert_eq!((of(404).count, of(404).expected), (2, 2));
        assert_eq!((of(500).count, of(500).expected), (200, 0));
    }
}
