//! Logs: to stderr, as text or JSON, never with a secret (the values themselves have no way into a format).

use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

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
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Json => {
                let layer = layer.json().flatten_event(true).with_current_span(false);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
            LogFormat::Text => {
                let ansi = std::io::stderr().is_terminal() && super::output::wants_colour();
                let layer = layer.with_ansi(ansi).with_target(false);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
        };
        started.map_err(|error| format!("logging cannot start: {error}"))
    }
}

/// What was asked for, but of other crates only warnings and errors, whatever was asked for: the SDK and the
/// HTTP stack log what they read and send at debug and trace, credentials among it. A list of their names
/// would not do, since a filter may name a module of theirs, and crates come and go with an update.
fn filter<S>(asked: &str) -> Result<impl Filter<S> + Send + Sync + 'static, String>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let asked_for = EnvFilter::try_new(asked).map_err(|error| {
        format!("--log {asked}: {error}; wanted a level such as info, or TARGET=LEVEL pairs")
    })?;
    let harmless = filter_fn(|metadata| {
        let target = metadata.target();
        let ours = target == "spokeprobe" || target.starts_with("spokeprobe::");
        ours || (*metadata.level() <= Level::WARN && !target.starts_with("aws_sigv4"))
    });
    Ok(harmless.and(asked_for))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_makes_other_crates_talk() {
        for asked in ["trace", "info,aws_runtime::env_config=trace", "aws_smithy_runtime::client=debug"] {
            let written = Written::default();
            let sink = written.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(move || sink.clone());
            let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter(asked).unwrap()));
            tracing::subscriber::with_default(subscriber, || {
                tracing::trace!(target: "aws_runtime::env_config::property", "sesame");
                tracing::debug!(target: "aws_smithy_runtime::client::orchestrator", "sesame");
                tracing::error!(target: "aws_sigv4::http_request", "sesame");
                tracing::warn!(target: "hyper::client", "a warning");
                tracing::warn!(target: "spokeprobe::credentials", "ours");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("sesame"), "{asked}: {text}");
            assert_eq!(text.contains("ours"), !asked.starts_with("aws_"), "{asked}: {text}");
        }
        assert!(filter::<tracing_subscriber::Registry>("spokeprobe=loud").is_err());
    }
}
