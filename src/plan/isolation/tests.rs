//! Which pairs there are, and how fast they can be gone through.
