//! Logs: to stderr, as text or JSON, never with a secret (the values themselves have no way into a format).
//!
//! How much is logged can change while `run` runs, by a signal: whoever may send one to the process may debug it
//! anyway, and no path of the listener can make the agent talk.

use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

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
        let (more, handle) = reload::Layer::new(nothing_more());
        let filter = filter(self.log.as_deref().unwrap_or(default), more)?;
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Json => {
                // Without module and spans: `target` and `name` would stand twice in one object, and whoever reads
                // it would keep the wrong one.
                let layer = layer.json().flatten_event(true).with_current_span(false);
                let layer = layer.with_span_list(false).with_target(false);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
            LogFormat::Text => {
                let ansi = std::io::stderr().is_terminal() && super::output::wants_colour();
                let layer = layer.with_ansi(ansi).with_target(false);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
        };
        started.map_err(|error| format!("logging cannot start: {error}"))?;
        std::panic::set_hook(Box::new(crate::seams::log_panic));
        // A process logs once; a second start has failed above.
        let _first = MORE.set(handle);
        Ok(())
    }
}

/// What is logged beyond what was asked for at the start.
static MORE: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

fn nothing_more() -> Targets {
    Targets::new()
}

/// Debug lines of this program; other crates stay as quiet as they are.
fn all_of_ours() -> Targets {
    Targets::new().with_target("spokeprobe", LevelFilter::DEBUG)
}

/// Switches debug lines on at each odd SIGUSR2 and off at each even one, for as long as the program runs. From the
/// moment that this returns the signal does not end the program any more.
///
/// # Errors
/// When the signal cannot be listened to.
pub(super) fn listen_for_debug() -> io::Result<()> {
    let mut asked = signal(SignalKind::user_defined2())?;
    crate::seams::spawn("log level", async move {
        let mut debug = false;
        while asked.recv().await.is_some() {
            debug = !debug;
            if let Some(Err(error)) = MORE.get().map(|more| switch(more, debug)) {
                tracing::error!(%error, "the log level could not be changed");
            }
        }
    });
    Ok(())
}

fn switch(more: &reload::Handle<Targets, Registry>, debug: bool) -> Result<(), reload::Error> {
    // The line about it is written while debug is on, so that it shows under any filter.
    if debug {
        more.reload(all_of_ours())?;
        tracing::info!("SIGUSR2: debug lines on");
    } else {
        tracing::info!("SIGUSR2: debug lines off");
        more.reload(nothing_more())?;
    }
    Ok(())
}

/// What was asked for, but of other crates only warnings and errors, whatever was asked for: the SDK and the
/// HTTP stack log what they read and send at debug and trace, credentials among it. A list of their names
/// would not do, since a filter may name a module of theirs, and crates come and go with an update.
fn filter<S>(
    asked: &str,
    more: impl Filter<S> + Send + Sync + 'static,
) -> Result<impl Filter<S> + Send + Sync + 'static, String>
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
    Ok(harmless.and(asked_for.or(more)))
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
            let subscriber = tracing_subscriber::registry()
                .with(layer.with_filter(filter(asked, nothing_more()).unwrap()));
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
        assert!(filter::<Registry>("spokeprobe=loud", nothing_more()).is_err());
    }

    /// Panics with a token at hand, in a process of its own: the hook is the whole process's.
    #[test]
    fn a_panic_of_the_process_shows_no_token() {
        const TOKEN: &str = "IQoJb3JpZ2luX2VjEJv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7";
        if std::env::var_os("SPOKEPROBE_TEST_PANICS").is_some() {
            LoggingArgs { log: None, log_format: LogFormat::Json }.start("info").unwrap();
            let told = std::panic::catch_unwind(|| panic!("cannot send x-key {TOKEN} on"));
            assert!(told.is_err());
            return;
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::logging::tests::a_panic_of_the_process_shows_no_token", "--nocapture"])
            .env("SPOKEPROBE_TEST_PANICS", "1")
            .output()
            .unwrap();
        let text = format!("{output:?}");
        assert!(output.status.success(), "{text}");
        assert!(text.contains("cannot send x-key *** on") && text.contains("logging.rs:"), "{text}");
        assert!(!text.contains(TOKEN), "{text}");
    }

    #[test]
    fn debug_lines_of_ours_come_and_go_while_the_program_runs() {
        for asked in ["info", "off", "error,spokeprobe::pacing=warn", "trace"] {
            let written = Written::default();
            let sink = written.clone();
            let (more, handle) = reload::Layer::new(nothing_more());
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || sink.clone());
            let subscriber =
                tracing_subscriber::registry().with(layer.with_filter(filter(asked, more).unwrap()));
            let told = |debug: Option<bool>| {
                written.0.lock().unwrap().clear();
                debug.into_iter().for_each(|debug| switch(&handle, debug).unwrap());
                tracing::debug!(target: "spokeprobe::pacing", "a detail");
                tracing::debug!(target: "spokeprobe_but_not_ours", "sesame");
                tracing::debug!(target: "hyper::client", "sesame");
                let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
                assert!(!text.contains("sesame"), "{asked}: {text}");
                (text.contains("a detail"), text.contains("SIGUSR2"))
            };
            tracing::subscriber::with_default(subscriber, || {
                let before = told(None);
                assert_eq!(before, (asked == "trace", false), "{asked}");
                assert_eq!(told(Some(true)), (true, true), "{asked}");
                assert_eq!(told(Some(false)), (before.0, true), "{asked}");
                assert_eq!(told(Some(true)), (true, true), "{asked}");
            });
        }
    }
}
