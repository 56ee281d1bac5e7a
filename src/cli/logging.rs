//! Logs: to stderr, as text or JSON, never with a secret (the values themselves have no way into a format).

use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct LoggingArgs {
    /// What to log: error, warn, info, debug, trace, or parts of the program such as
    /// warn,spokeprobe::credentials=debug [default: info for run, demo and simulate, warn for the others]
    #[arg(long, global = true, value_name = "FILTER", env = "SPOKEPROBE_LOG", hide_env_values = true)]
    log: Option<String>,
    /// How to write logs
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t = LogFormat::Text,
        env = "SPOKEPROBE_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

impl LoggingArgs {
    /// Starts logging; `default` is what to log unless the user says.
    pub(super) fn start(&self, default: &str) -> Result<(), String> {
        let filter = filter(self.log.as_deref().unwrap_or(default))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
            LogFormat::Text => builder
                .with_ansi(std::io::stderr().is_terminal() && super::output::wants_colour())
                .with_target(false)
                .try_init(),
        };
        started.map_err(|error| format!("logging cannot start: {error}"))
    }
}

/// The SDK and the HTTP stack log what they send at debug and trace, credentials among it. So only parts of
/// this program can be asked for, and everything else stays at warn.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let wrong = || {
        format!(
            "--log {text}: wanted error, warn, info, debug, trace or off, or parts of this program with a level, \
             such as warn,spokeprobe::credentials=debug"
        )
    };
    let mut own = String::from("warn");
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (target, level) = part.split_once('=').unwrap_or(("spokeprobe", part));
        let known =
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str());
        let ours = target == "spokeprobe" || target.starts_with("spokeprobe::");
        if !known || !ours {
            return Err(wrong());
        }
        own.push_str(&format!(",{target}={level}"));
    }
    EnvFilter::try_new(own).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_this_program_can_be_made_talkative() {
        for good in ["info", "off", "warn,spokeprobe::credentials=debug", "spokeprobe=TRACE"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "aws_config=trace", "aws_config::imds=debug", "info,hyper=trace", "spokeprobe=x"]
        {
            assert!(filter(bad).is_err(), "{bad}");
        }
        assert!(!filter("trace").unwrap().to_string().contains("aws"));
    }
}
