//! Runs the binary as a command or as a service.
//!
//! A command runs until it exits. A service runs until it gets SIGTERM or is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A command of the binary in `folder`, with only `COLUMNS` in its environment.
pub fn rookery(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rookery"));
    command.args(arguments).current_dir(folder).env_clear().env("COLUMNS", "1000");
    command
}

/// Runs a command until it exits.
pub fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    rookery(folder, arguments).output().unwrap()
}

/// The standard output of a command that must succeed.
pub fn printed(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that must have failed with exit code 1.
///
/// Its standard error must be one line, and its standard output empty.
pub fn error_line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((text.lines().count(), output.stdout.len()), (1, 0), "{output:?}");
    text.strip_prefix("error: ").unwrap().trim_end().to_owned()
}

/// Arguments of `serve` on a free port, with fast password hashes.
pub const SERVE: [&str; 7] =
    ["serve", "--listen", "127.0.0.1:0", "--argon2-memory-kib", "8", "--argon2-iterations", "1"];

/// A running service, which is killed when it is dropped.
pub struct Server {
    pub process: Child,
    stdout: BufReader<ChildStdout>,
    pub address: String,
    /// The address of the metrics endpoint, if it is enabled.
    pub metrics: Option<String>,
}

impl Server {
    /// Starts a service whose database is in `folder`.
    pub fn start(folder: &TempDir) -> Self {
        Self::spawn(rookery(folder, &SERVE))
    }

    /// Starts a service whose files are limited in size, like on a full disk.
    ///
    /// The limit is `blocks` of 512 bytes.
    #[cfg(unix)]
    pub fn start_on_full_disk(folder: &TempDir, blocks: u32) -> Self {
        let binary = env!("CARGO_BIN_EXE_rookery");
        let limited =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec {binary} {}", SERVE.join(" "));
        let mut command = Command::new("sh");
        command.args(["-c", &limited]).current_dir(folder);
        Self::spawn(command)
    }

    /// Starts a service without a log, and waits until it listens.
    pub fn spawn(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::spawn_with_log(command)
    }

    /// Starts a service that logs to the stderr of `command`.
    ///
    /// Waits until the service listens.
    pub fn spawn_with_log(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (mut line, mut address, mut metrics) = (String::new(), String::new(), None);
        while !line.contains("Database") {
            line.clear();
            assert_ne!(
                stdout.read_line(&mut line).unwrap(),
                0,
                "the service ended without printing its address"
            );
            let url = line.split("//").nth(1).unwrap_or_default().trim_end();
            match url.split_once('/') {
                Some((host, "graphql")) => host.clone_into(&mut address),
                Some((host, "metrics")) => metrics = Some(host.to_owned()),
                _ => {}
            }
        }
        Self { process, stdout, address, metrics }
    }

    /// Sends the head of a POST. When this returns, the service waits for the body.
    ///
    /// The request is in flight until [`end`] sends the body.
    pub fn begin(&self, token: &str, length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{token}\
             content-length: {length}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut interim_response = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut interim_response).unwrap();
        assert!(interim_response.starts_with(b"HTTP/1.1 100 "));
        stream
    }

    /// Posts a query and returns the response. An empty token is anonymous.
    pub fn post(&self, token: &str, query: &str) -> Value {
        let body = json!({ "query": query }).to_string();
        let token = format!("authorization: Bearer {token}\r\n");
        end(self.begin(if token.contains("rookery_") { &token } else { "" }, body.len()), &body)
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits until the service exits, which must be with code 0.
    ///
    /// Returns the rest of its standard output.
    pub fn wait(mut self) -> String {
        let mut output = String::new();
        self.stdout.read_to_string(&mut output).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        output
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends the body of a request and returns the GraphQL response.
pub fn end(mut stream: TcpStream, body: &str) -> Value {
    stream.write_all(body.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status_lines = ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 503 Service Unavailable\r\n"];
    assert!(status_lines.iter().any(|start| response.starts_with(start)), "{response}");
    serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Sends a GET and returns the whole response with its head.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}
