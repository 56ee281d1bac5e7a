//! What spokeprobe costs: processor time, memory, the size of a scrape, the time to a first result.
//!
//! `cargo bench` (or `./scripts/measure`) prints a table in Markdown, ready for the README, with the machine
//! it was taken on. Each part runs in a process of its own, so that no part inherits another's heap; the client
//! has one core for itself and the simulated hub another, where the machine has two and `taskset` is there.
//! Cargo builds program and libraries with what tests need of them (tokio's clock that can be paused), so the
//! released program is a little faster than what is measured here.
//!
//! ```text
//! fleet    a simulated AWS and its configuration, for any number of targets
//! micro    one sign, one classification, one recording, the timetable
//! attempts whole attempts over TLS: a closed loop, and the agent at a low rate
//! memory   the agent with 100, 1,000 and 10,000 targets, and what a scrape of it costs
//! start    from exec to the first result
//! scale    the agent with 100, 1,000 and 10,000 targets over sockets, with one host name and with one each; with
//!          a tenth of the spokes hanging
//! lateness how late the pacer is beside a bare thread, and how often it wakes up
//! clock    the stop watch and batches       process  other processes: start, pin, ask
//! usage    what the kernel counts of them   figure   a row of the table
//! machine  what it was taken on
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that cannot be made should stop with a message, and its result goes to stdout"
)]

mod attempts;
mod clock;
mod figure;
mod fleet;
mod lateness;
mod machine;
mod memory;
mod micro;
mod process;
mod scale;
mod start;
mod usage;

use figure::Figure;
use process::Cores;
use scale::Case;
use std::process::ExitCode;

/// The parts in the order of the table. `client` parts are pinned to the client's core.
const PARTS: &[Part] = &[
    Part { name: "micro", is_client: true, run: micro::measure },
    Part { name: "attempts", is_client: true, run: attempts::measure_closed_loop },
    Part { name: "agent", is_client: false, run: attempts::measure_low_rate },
    Part { name: "memory-100", is_client: false, run: |effort| memory::measure(100, effort) },
    Part { name: "memory-1000", is_client: false, run: |effort| memory::measure(1_000, effort) },
    Part { name: "memory-10000", is_client: false, run: |effort| memory::measure(10_000, effort) },
    Part { name: "start", is_client: false, run: start::measure },
    Part {
        name: "scale-shared-100",
        is_client: false,
        run: |effort| scale::measure(Case::Shared, 100, effort),
    },
    Part {
        name: "scale-shared-1000",
        is_client: false,
        run: |effort| scale::measure(Case::Shared, 1_000, effort),
    },
    Part {
        name: "scale-shared-10000",
        is_client: false,
        run: |effort| scale::measure(Case::Shared, 10_000, effort),
    },
    Part {
        name: "scale-names-100",
        is_client: false,
        run: |effort| scale::measure(Case::Names, 100, effort),
    },
    Part {
        name: "scale-names-1000",
        is_client: false,
        run: |effort| scale::measure(Case::Names, 1_000, effort),
    },
    Part {
        name: "scale-names-10000",
        is_client: false,
        run: |effort| scale::measure(Case::Names, 10_000, effort),
    },
    Part {
        name: "scale-hang-1000",
        is_client: false,
        run: |effort| scale::measure(Case::Hanging, 1_000, effort),
    },
    Part { name: "lateness", is_client: false, run: lateness::measure },
];

struct Part {
    name: &'static str,
    is_client: bool,
    run: fn(Effort) -> Vec<Figure>,
}

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// As long as a stable median takes.
    Full,
    /// Just long enough to see that everything works.
    Quick,
}

impl Effort {
    /// The number of batches that a median is taken of.
    const fn batches(self) -> usize {
        match self {
            Self::Full => 15,
            Self::Quick => 3,
        }
    }
}

/// `scale` means all parts that begin with it, `scale-shared-100` not those of 1,000.
fn is_meant(part: &str, name: &str) -> bool {
    part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = if has("--quick") { Effort::Quick } else { Effort::Full };
    let chosen: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    if has("--part") {
        let part = PARTS.iter().find(|part| Some(&part.name) == chosen.first()).expect("a part by name");
        (part.run)(effort).iter().for_each(|figure| println!("{}", figure.to_line()));
        return ExitCode::SUCCESS;
    }
    if !has("--bench") {
        // `cargo test --all-targets` comes here, and measures nothing in a debug build.
        eprintln!("measures: run me with `cargo bench`");
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = chosen.iter().find(|name| !PARTS.iter().any(|part| is_meant(part.name, name))) {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        eprintln!("measures: there is no part `{unknown}`; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let (mut figures, mut loads) = (Vec::new(), Vec::new());
    for part in PARTS {
        if !chosen.is_empty() && !chosen.iter().any(|name| is_meant(part.name, name)) {
            continue;
        }
        let load = machine::load_average();
        eprintln!("measuring {} (load average {load})", part.name);
        loads.push(format!("{} before {}", load.split(' ').next().unwrap_or("?"), part.name));
        match process::run_part(part.name, part.is_client, effort == Effort::Quick) {
            Ok(lines) => figures.extend(lines.lines().filter_map(Figure::from_line)),
            Err(problem) => {
                eprintln!("measures: {}: {problem}", part.name);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", machine::describe(&Cores::find(), &loads));
    println!("{}", figure::table(&figures));
    if figures.iter().any(Figure::is_beyond_its_bound) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
