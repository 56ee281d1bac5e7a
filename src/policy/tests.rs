//! The policies of small configurations, by heart.
