//! The driver over the simulated hub, under a paused clock.
