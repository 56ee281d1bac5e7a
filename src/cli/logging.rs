//! Logs: to stderr, as text or JSON, never with a secret (the values themselves have no way into a format).

use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Debug, Args)]
pub(super) struct LoggingArgs {
    /// What to log: error, warn, info, debug, or a filter such as info,spokeprobe::credentials=debug
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "SPOKEPROBE_LOG")]
    log: String,
    /// How to write logs
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "SPOKEPROBE_LOG_FORMAT")]
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
    /// Starts logging.
    pub(super) fn start(&self) -> Result<(), String> {
        // The SDK and the HTTP stack log what they send at debug and trace, credentials among it, so they
        // stay at warn whatever is asked for.
        let filter = format!(
            "{},aws_config=warn,aws_sdk_sts=warn,aws_sigv4=off,aws_smithy_runtime=warn,aws_smithy_runtime_api=warn,\
             aws_credential_types=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn",
            self.log
        );
        let filter = EnvFilter::try_new(filter).map_err(|error| {
            format!("--log {}: {error}; wanted a level such as info, or TARGET=LEVEL pairs", self.log)
        })?;
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
