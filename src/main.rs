//! The program: reads arguments, runs, turns the result into an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    spokeprobe::cli::main()
}
