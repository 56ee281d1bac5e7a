//! Simulated days of the keeper.
