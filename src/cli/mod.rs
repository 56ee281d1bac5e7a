//! The commands: one file each. The only place that prints, and the only one that joins the agent and the
//! simulator.

mod call;
mod configuration;
mod demo;
mod doctor;
mod explain;
mod healthcheck;
mod load;
mod logging;
mod manual;
mod output;
mod plan;
mod policy;
mod run;
mod schema;
mod simulate;
mod summary;
mod values;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;

/// How a command ended, as an exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As expected.
    Expected,
    /// It ran, and something is not as expected.
    Unexpected,
    /// Usage or configuration error: nothing ran.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Expected => 0,
            Exit::Unexpected => 1,
            Exit::Usage => 2,
        })
    }
}

/// Probes private APIs behind a shared execute-api VPC endpoint, and says who refused.
#[derive(Debug, Parser)]
#[command(
    name = "spokeprobe",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  spokeprobe demo                          see it work on a simulated hub, no AWS account needed
  spokeprobe plan --config config.yaml     check a configuration and see what it would do
  spokeprobe run --config config.yaml      run the agent
  spokeprobe call payments/hoot GET /      one signed request, as the role of the spoke
  spokeprobe load payments/hoot/hello --rate 40/s --for 60s    what the path bears
  spokeprobe doctor payments               who stops the path to this spoke, and what to change
  spokeprobe policy vpc-endpoint           the statements that the configuration needs, to add
  spokeprobe explain forbidden             what a reason means and what to do

Exit status: 0 as expected; 1 it ran, and something is not as expected; 2 usage or configuration error.
Results go to stdout, logs and progress to stderr."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    logging: logging::LoggingArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent
    Run(run::RunArgs),
    /// Run a simulated hub and the agent against it: no AWS account, no configuration
    Demo(demo::DemoArgs),
    /// Check the configuration without any network and print what would run
    Plan(plan::PlanArgs),
    /// Walk the path to a spoke step by step, and say where and by whom it is stopped
    Doctor(doctor::DoctorArgs),
    /// Send one signed request and judge the answer
    Call(call::CallArgs),
    /// Drive a probe at a set rate, and report what the path bears
    Load(Box<load::LoadArgs>),
    /// Print the least-privilege policies that the configuration implies, or check those in use
    Policy(policy::PolicyArgs),
    /// Say what a reason means, who owns it, and what to do
    Explain(explain::ExplainArgs),
    /// Run only the simulated hub, for curl, SDKs and drills
    Simulate(simulate::SimulateArgs),
    /// Print the JSON Schema of the configuration, or of what `load` prints
    Schema(schema::SchemaArgs),
    /// Ask the local agent whether it is alive, for container health checks
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a completion script for a shell
    Completions(manual::CompletionsArgs),
    /// Print the manual page
    #[command(after_help = "\
Example:
  spokeprobe man > /usr/local/share/man/man1/spokeprobe.1")]
    Man,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration: a path, s3://BUCKET/KEY for an object, or env:NAME for the content of a variable
    #[arg(long, value_name = "SOURCE", default_value = "config.yaml", env = "SPOKEPROBE_CONFIG")]
    config: String,
}

/// Parses the arguments, runs the command, and gives the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { logging, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            output::told_by_clap(&told);
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Expected };
            return output::end(exit).into();
        }
    };
    let default_log = match command {
        Command::Run(_) | Command::Demo(_) | Command::Simulate(_) => "info",
        // Its result says all of it, and better.
        Command::Doctor(_) | Command::Load(_) => "error",
        // So it is with a role that cannot be assumed; what else is odd is heard of.
        Command::Call(_) => "warn,spokeprobe::credentials=error",
        _ => "warn",
    };
    if let Err(problem) = logging.start(default_log) {
        output::error(&problem);
        return Exit::Usage.into();
    }
    let exit = match command {
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man => manual::man(),
        Command::Explain(args) => explain::explain(&args),
        Command::Plan(args) => in_runtime(plan::plan(args)),
        Command::Policy(args) => in_runtime(policy::policy(args)),
        Command::Run(args) => in_runtime(run::run(args)),
        Command::Demo(args) => in_runtime(demo::demo(args)),
        Command::Call(args) => in_runtime(call::call(args)),
        Command::Load(args) => on_one_thread(load::load(*args)),
        Command::Doctor(args) => in_runtime(doctor::doctor(args)),
        Command::Simulate(args) => in_runtime(simulate::simulate(args)),
        Command::Healthcheck(args) => in_runtime(healthcheck::healthcheck(args)),
    };
    output::end(exit).into()
}

fn in_runtime(command: impl Future<Output = Exit>) -> Exit {
    run_on(tokio::runtime::Builder::new_multi_thread(), command)
}

/// For a command whose work must not move between threads.
fn on_one_thread(command: impl Future<Output = Exit>) -> Exit {
    run_on(tokio::runtime::Builder::new_current_thread(), command)
}

fn run_on(mut runtime: tokio::runtime::Builder, command: impl Future<Output = Exit>) -> Exit {
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("the runtime cannot start: {error}"));
            return Exit::Unexpected;
        }
    };
    let exit = runtime.block_on(command);
    // A resolver thread that hangs must not hold up the exit.
    runtime.shutdown_background();
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
