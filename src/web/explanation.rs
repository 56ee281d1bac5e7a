//! What the page of a spoke says about a reason. The texts are another module's: whoever makes the `State` hands them in.

/// What there is to say about a reason, beside its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What follows the first sentence, which is the reason's meaning.
    pub more: &'static str,
    /// What usually brings it about, most likely first.
    pub causes: &'static [&'static str],
    /// Who can change it, most likely first.
    pub owners: Vec<&'static str>,
    /// What to do, in this order.
    pub steps: Vec<Advice>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What, and why.
    pub text: &'static str,
    /// The command for it. Words in capitals are to be replaced.
    pub command: Option<&'static str>,
}
