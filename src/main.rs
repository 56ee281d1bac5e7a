//! The program: reads arguments, runs, turns the result into an exit status.

fn main() {}
