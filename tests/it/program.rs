//! The built program as a child process: how the tests of the command line start, ask and end it.
//!
//! Its environment is empty but for what a test gives, so no developer's AWS profile is ever used, and every
//! proxy variable points to where nobody listens: whoever obeys one fails.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The result as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program with these arguments.
pub(crate) fn program(args: &[&str], environment: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spokeprobe"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    command.envs(environment.iter().cloned());
    command
}

/// Runs the program to its end.
pub(crate) fn run_with(args: &[&str], environment: &[(String, String)]) -> Ran {
    let output = program(args, environment).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs the program to its end in an empty environment.
pub(crate) fn run(args: &[&str]) -> Ran {
    run_with(args, &[])
}

/// An empty folder of this test alone.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => std::fs::create_dir_all(&folder).unwrap(),
    }
    folder
}

/// A loopback address where nobody listens just now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks an address for a path: status and body, or `None` while nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    get_by_name(address, &address.to_string(), path)
}

/// The same under another name of the host.
pub(crate) fn get_by_name(address: SocketAddr, host: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A program that goes on until it is told to end; ended in any case when dropped.
pub(crate) struct Started {
    child: Child,
    /// Reads all the time: a full pipe would hold the program up.
    stderr: Option<JoinHandle<String>>,
}

impl Started {
    /// Starts it.
    pub(crate) fn new(args: &[&str], environment: &[(String, String)]) -> Self {
        let mut child = program(args, environment).spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, stderr: Some(stderr) }
    }

    /// Reads the JSON object that it prints first.
    pub(crate) fn first_json(&mut self) -> serde_json::Value {
        let mut text = String::new();
        for line in BufReader::new(self.child.stdout.as_mut().unwrap()).lines() {
            let line = line.unwrap();
            text.push_str(&line);
            if line == "}" {
                return serde_json::from_str(&text).unwrap();
            }
        }
        panic!("it ended: {text} {}", self.stderr());
    }

    /// What it has written to stdout; to be asked for once it has ended.
    pub(crate) fn stdout(&mut self) -> String {
        let mut text = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for its end, at most so long.
    pub(crate) fn ended_within(&mut self, span: Duration) -> Option<ExitStatus> {
        for _ in 0..span.as_millis() / 50 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// What it has written to stderr; waits until it has ended.
    pub(crate) fn stderr(&mut self) -> String {
        self.stderr.take().unwrap().join().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A simulated hub in a process of its own.
pub(crate) struct SimulatedHub {
    _process: Started,
    /// What an AWS SDK needs to find it.
    pub(crate) environment: Vec<(String, String)>,
    /// The folder with the files for clients.
    pub(crate) folder: PathBuf,
    /// What it printed.
    pub(crate) printed: serde_json::Value,
}

impl SimulatedHub {
    /// Starts it with its files in a folder of this name.
    pub(crate) fn start(name: &str) -> Self {
        let folder = folder(name);
        let out = folder.to_str().unwrap();
        let mut process =
            Started::new(&["simulate", "--json", "--out", out, "--control", "127.0.0.1:0"], &[]);
        let printed = process.first_json();
        let environment = printed["environment"].as_object().unwrap().iter();
        let environment =
            environment.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        Self { _process: process, environment, folder, printed }
    }

    /// The configuration it wrote.
    pub(crate) fn config(&self) -> String {
        self.printed["config_file"].as_str().unwrap().to_owned()
    }

    /// What it counted.
    pub(crate) fn counts(&self) -> serde_json::Value {
        let url = self.printed["control_url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/counts").unwrap();
        serde_json::from_str(&get(address.parse().unwrap(), "/counts").unwrap().1).unwrap()
    }
}
