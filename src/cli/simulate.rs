//! `spokeprobe simulate`: only the simulated hub, for curl, SDKs and drills.

use super::{Exit, output, values};
use crate::app;
use crate::seams::{Clock, SystemClock};
use crate::simulator::{DEMO_CONFIGURATION, DEMO_SESSION_POLICY, Hub, Running, Server, ServerOptions, World};
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe simulate --out hub --control 127.0.0.1:8404
  . hub/environment && spokeprobe call payments/hoot GET / --config hub/config.yaml
  . hub/environment && aws sts get-caller-identity
  curl -s http://127.0.0.1:8404/counts

The endpoint speaks TLS with a certificate made at start, for the names that AWS would use; connect to the
printed address and trust the printed CA. All listeners should stay on loopback: what is simulated guards nothing.")]
pub(super) struct SimulateArgs {
    /// The world to simulate, a file in the form of src/simulator/worlds/default.yaml; without it the one of `demo`
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Where the endpoint listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where STS listens, over plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    sts: SocketAddr,
    /// Where the credentials endpoint listens, over plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    credentials: SocketAddr,
    /// Serve GET /counts: requests by api, identity and code; and GET /totals
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Close connections that are idle for so long, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 350_000, value_parser = values::whole(1..=3_600_000, "milliseconds"))]
    idle_timeout_ms: u64,
    /// Speak plain HTTP at the endpoint, without TLS
    #[arg(long)]
    plain: bool,
    /// The folder for ca.pem, environment and, for the default world, config.yaml; made if absent
    #[arg(long, value_name = "FOLDER", default_value = "spokeprobe-simulate")]
    out: PathBuf,
    /// Print the addresses as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn simulate(args: SimulateArgs) -> Exit {
    let world = match world(args.world.as_deref()) {
        Ok(world) => world,
        Err(problem) => {
            output::error(&problem);
            return Exit::Usage;
        }
    };
    let region = world.region.clone();
    let options = ServerOptions {
        endpoint: args.listen,
        sts: args.sts,
        credentials: args.credentials,
        control: args.control,
        idle_timeout: Duration::from_millis(args.idle_timeout_ms),
        plain_endpoint: args.plain,
        ..ServerOptions::default()
    };
    let running = match start(world, options).await {
        Ok(running) => running,
        Err(problem) => {
            output::error(&problem);
            return Exit::Usage;
        }
    };
    let files = match write_files(&args.out, &running, &region, args.world.is_none()) {
        Ok(files) => files,
        Err(error) => {
            output::error(&format!("{}: {error}; choose another folder with --out", args.out.display()));
            return Exit::Usage;
        }
    };
    if args.json {
        output::json(&as_json(&running, &region, &files));
    } else {
        output::result(&as_text(&running, &region, &files));
    }
    // Whoever started it waits for the addresses, and cannot get them.
    if output::is_lost() {
        return Exit::Unexpected;
    }
    if let Err(error) = app::termination().await {
        output::error(&format!("signals cannot be listened to: {error}"));
        return Exit::Unexpected;
    }
    running.shutdown().await;
    Exit::Expected
}

/// Reads a world, or takes the default one.
fn world(file: Option<&Path>) -> Result<World, String> {
    let Some(file) = file else { return World::default_world().map_err(|error| error.to_string()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: {error}; wanted a world file", file.display()))?;
    World::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Starts a hub on sockets with the machine's clock.
pub(super) async fn start(world: World, options: ServerOptions) -> Result<Running, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let hub = Arc::new(Hub::new(world, clock.wall()));
    Server::start(hub, options, clock).await.map_err(|error| error.to_string())
}

/// What a client needs as files.
struct Files {
    /// None for an endpoint without TLS.
    ca: Option<PathBuf>,
    environment: PathBuf,
    config: Option<PathBuf>,
}

fn write_files(
    folder: &Path,
    running: &Running,
    region: &str,
    default_world: bool,
) -> std::io::Result<Files> {
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let ca = (!running.ca_pem.is_empty()).then(|| folder.join("ca.pem"));
    if let Some(ca) = &ca {
        std::fs::write(ca, &running.ca_pem)?;
    }
    let environment = folder.join("environment");
    let exports: String = running
        .environment(region)
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    std::fs::write(&environment, exports)?;
    let config = default_world.then(|| folder.join("config.yaml"));
    if let Some(config) = &config {
        std::fs::write(config, configuration(&running.endpoint_url(), &running.sts_url, ca.is_some()))?;
        std::fs::write(folder.join("narrow.json"), DEMO_SESSION_POLICY)?;
    }
    Ok(Files { ca, environment, config })
}

/// The demo's configuration for a hub on these addresses, beside a `ca.pem` if it speaks TLS.
fn configuration(endpoint_url: &str, sts_url: &str, tls: bool) -> String {
    let ca_line = |line: &&str| tls || !line.contains("${SPOKEPROBE_DEMO_CA}");
    let lines: String = DEMO_CONFIGURATION.split_inclusive('\n').filter(ca_line).collect();
    lines
        .replace("${SPOKEPROBE_DEMO_URL}", endpoint_url)
        .replace("${SPOKEPROBE_DEMO_CA}", "ca.pem")
        .replace("${SPOKEPROBE_DEMO_STS}", sts_url)
}

fn as_json(running: &Running, region: &str, files: &Files) -> serde_json::Value {
    let environment: serde_json::Map<String, serde_json::Value> = running
        .environment(region)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "endpoint_url": running.endpoint_url(),
        "endpoint_address": running.endpoint_addr.to_string(),
        "sts_url": running.sts_url,
        "credentials_url": running.credentials_url,
        "credentials_token": running.credentials_token,
        "control_url": running.control_addr.map(|address| format!("http://{address}/counts")),
        "region": region,
        "environment": environment,
        "ca_file": files.ca,
        "environment_file": files.environment,
        "config_file": files.config,
    })
}

fn as_text(running: &Running, region: &str, files: &Files) -> String {
    let mut lines = vec![
        format!("endpoint     {}   region {region}", running.endpoint_url()),
        format!("sts          {}", running.sts_url),
        format!("credentials  {}", running.credentials_url),
    ];
    if let Some(control) = running.control_addr {
        lines.push(format!("counts       http://{control}/counts"));
    }
    if let Some(ca) = &files.ca {
        lines.push(format!("ca file      {}", ca.display()));
    }
    lines.push(format!("environment  {}", files.environment.display()));
    if let Some(config) = &files.config {
        lines.push(String::new());
        lines.push("Try, in another shell:".to_owned());
        lines.push(format!("  . {}", files.environment.display()));
        lines.push(format!("  spokeprobe call payments/hoot GET / --config {}", config.display()));
    }
    lines.push(String::new());
    lines.push("Serving until SIGINT or SIGTERM.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Document, Documents};

    #[test]
    fn the_written_configuration_can_be_read_with_tls_and_without() {
        let ca = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for (url, tls) in [("https://127.0.0.1:1", true), ("http://127.0.0.1:1", false)] {
            let text = configuration(url, "http://127.0.0.1:2", tls);
            let main = Document::parse("config.yaml", &text).unwrap();
            let files = [("ca.pem", ca.clone()), ("narrow.json", DEMO_SESSION_POLICY.to_owned())];
            let mut documents = Documents::of_main(main);
            documents.files = files
                .into_iter()
                .filter(|(name, _)| tls || *name != "ca.pem")
                .map(|(name, text)| (name.to_owned(), Ok(text)))
                .collect();
            let config = config::read(&documents, &|_| None).unwrap();
            assert_eq!(config.hub.endpoint.ca_pem.is_some(), tls);
        }
    }
}
