//! Other processes: this program's own parts, the simulated hub, the agent. Started, pinned, read, ended.

use crate::clock::StopWatch;
use crate::usage;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The program under measurement, built in the same profile.
const SPOKEPROBE: &str = env!("CARGO_BIN_EXE_spokeprobe");

/// Which core the client has, and which the simulated hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// One each.
    Pinned { client: usize, server: usize },
    /// Wherever the kernel puts them.
    Shared,
}

impl Cores {
    /// The first two cores this process may use, if there is a `taskset` to pin with.
    pub(crate) fn find() -> Self {
        if let Ok(given) = std::env::var_os("MEASURES_CORES").map(|v| v.into_string()).transpose()
            && let Some((client, server)) = given.as_deref().and_then(|text| text.split_once(','))
            && let (Ok(client), Ok(server)) = (client.parse(), server.parse())
        {
            return Self::Pinned { client, server };
        }
        let usable = Command::new("taskset").args(["-c", "0", "true"]).status().is_ok_and(|s| s.success());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let allowed = allowed.map(|text| cores_in(text.trim())).unwrap_or_default();
        match allowed[..] {
            [client, server, ..] if usable => Self::Pinned { client, server },
            _ => Self::Shared,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Pinned { client, server } => {
                format!("the client pinned to core {client}, the simulated hub to core {server}")
            }
            Self::Shared => "nothing pinned: no taskset, or a single core".to_owned(),
        }
    }

    fn command(&self, program: &str, is_client: bool) -> Command {
        match self {
            Self::Shared => Command::new(program),
            Self::Pinned { client, server } => {
                let core = if is_client { client } else { server };
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string(), program]);
                command
            }
        }
    }
}

/// `0-2,5` as numbers.
fn cores_in(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// Runs one part in a process of its own and gives back what it printed.
pub(crate) fn run_part(name: &str, is_client: bool, quick: bool) -> Result<String, String> {
    let cores = Cores::find();
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let own = own.to_str().ok_or("a path that is not text")?;
    let mut command = if is_client { cores.command(own, true) } else { Command::new(own) };
    if let Cores::Pinned { client, server } = cores {
        // A pinned part sees one core only and could not find out by itself.
        command.env("MEASURES_CORES", format!("{client},{server}"));
    }
    command.args(["--part", name]).args(quick.then_some("--quick"));
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("ended with {}", output.status))
    }
}

/// A child that ends with its owner.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Process {
    /// The processor time of all its threads that still run, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        usage::cpu_seconds(&self.0.id().to_string())
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> f64 {
        usage::resident_bytes(&self.0.id().to_string())
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        std::path::Path::new(&format!("/proc/{}/fd", self.0.id())).read_dir().is_ok()
    }

    /// How many files it has open, sockets among them.
    pub(crate) fn open_files(&self) -> f64 {
        usage::open_files(&self.0.id().to_string())
    }
}

/// Ten thousand host names are ten thousand connections, and most shells begin programs with a soft limit of 1,024 open
/// files. The agent raises its own.
const WITH_ALL_FILES: &str = r#"ulimit -S -n "$(ulimit -H -n)"; exec "$@""#;

/// The simulated hub on sockets.
pub(crate) struct SimulatedHub {
    pub(crate) process: Process,
    pub(crate) addresses: Value,
    folder: PathBuf,
}

impl SimulatedHub {
    /// Starts `spokeprobe simulate` with a world, and waits until it serves.
    pub(crate) fn start(name: &str, world: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("measures").join(name);
        fs::create_dir_all(&folder).expect("a folder for what is generated");
        let file = folder.join("world.yaml");
        fs::write(&file, world).expect("the world can be written");
        let mut command = Cores::find().command("sh", false);
        command
            .args(["-c", WITH_ALL_FILES, "sh", SPOKEPROBE])
            .args(["--log", "error", "simulate", "--json", "--control", "127.0.0.1:0", "--world"])
            .arg(&file)
            .arg("--out")
            .arg(&folder);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("spokeprobe starts");
        let stdout = child.stdout.take().expect("a pipe");
        let process = Process(child);
        let mut text = String::new();
        for line in BufReader::new(stdout).lines() {
            text.push_str(&line.expect("text"));
            text.push('\n');
            if let Ok(addresses) = serde_json::from_str(&text) {
                return Self { process, addresses, folder };
            }
        }
        panic!("spokeprobe simulate ended: {text}");
    }

    /// The address of one of its doors.
    pub(crate) fn url(&self, name: &str) -> &str {
        self.addresses[name].as_str().expect("an address")
    }

    /// How many requests and calls to STS it has counted so far.
    pub(crate) fn counted(&self) -> (f64, f64) {
        let url = self.url("control_url").strip_prefix("http://").expect("plain http");
        let address = url.strip_suffix("/counts").and_then(|text| text.parse().ok()).expect("an address");
        let (status, body) = get(address, "/totals").expect("an answer");
        assert_eq!(status, 200, "{body}");
        let totals: Value = serde_json::from_str(&body).expect("JSON");
        let total = |name: &str| totals[name].as_f64().expect("a number");
        (total("requests"), total("sts"))
    }

    /// What an agent needs in its environment for the hub's credentials.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variables = self.addresses["environment"].as_object().expect("variables");
        let pair = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or("").to_owned());
        variables.iter().map(pair).collect()
    }

    /// Writes a configuration beside the world's files.
    pub(crate) fn write_config(&self, text: &str) -> PathBuf {
        let path = self.folder.join("agent.yaml");
        fs::write(&path, text).expect("the configuration can be written");
        path
    }

    /// Starts `spokeprobe run` on the client's core.
    pub(crate) fn start_agent(&self, config: &Path, pinned: bool) -> Process {
        let cores = if pinned { Cores::find() } else { Cores::Shared };
        let mut command = cores.command(SPOKEPROBE, true);
        command.args(["--log", "warn", "run", "--config"]).arg(config).envs(self.environment());
        Process(command.spawn().expect("spokeprobe starts"))
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// A whole GET over a connection of its own: status and body; `None` when nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let (head, body) = get_as(address, path, "identity")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, String::from_utf8_lossy(&body).into_owned()))
}

/// A POST without a body, in the same way.
pub(crate) fn post(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let (head, body) = ask(address, "POST", path, "Content-Length: 0\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, String::from_utf8_lossy(&body).into_owned()))
}

/// The same with the coding that is asked for: head and body as they came.
pub(crate) fn get_as(address: SocketAddr, path: &str, coding: &str) -> Option<(String, Vec<u8>)> {
    ask(address, "GET", path, &format!("Accept-Encoding: {coding}\r\n"))
}

fn ask(address: SocketAddr, method: &str, path: &str, more: &str) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let headers = format!("Host: {address}\r\nConnection: close\r\n{more}");
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let body = answer.split_off(end);
    Some((String::from_utf8(answer).ok()?, body))
}

/// Asks every 2 ms until the answer is right, and gives it back.
pub(crate) fn wait_for(address: SocketAddr, path: &str, is_right: impl Fn(u16, &str) -> bool) -> String {
    let watch = StopWatch::start();
    loop {
        if let Some((status, body)) = get(address, path)
            && is_right(status, &body)
        {
            return body;
        }
        assert!(
            watch.elapsed() < Duration::from_secs(60),
            "{path} of {address} did not become right in time"
        );
        thread::sleep(Duration::from_millis(2));
    }
}
