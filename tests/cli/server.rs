//! The binary, run as an operator runs it: a command to its end, or a service until it is told to stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary in a folder of its own, knowing nothing of the environment.
pub fn rookery(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rookery"));
    command.args(arguments).current_dir(folder).env_clear().env("COLUMNS", "1000");
    command
}

pub fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    rookery(folder, arguments).output().unwrap()
}

/// What a command that succeeds prints.
pub fn printed(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line with which a command fails.
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((text.lines().count(), output.stdout.len()), (1, 0), "{output:?}");
    text.strip_prefix("error: ").unwrap().trim_end().to_owned()
}

pub const SERVE: [&str; 7] =
    ["serve", "--listen", "127.0.0.1:0", "--argon2-memory-kib", "8", "--argon2-iterations", "1"];

pub struct Server {
    pub process: Child,
    stdout: BufReader<ChildStdout>,
    pub address: String,
    pub metrics: Option<String>,
}

impl Server {
    pub fn start(folder: &TempDir) -> Self {
        Self::spawn(rookery(folder, &SERVE))
    }

    /// A service none of whose files may grow beyond `blocks` of 512 bytes: what a full disk is like.
    #[cfg(unix)]
    pub fn start_on_full_disk(folder: &TempDir, blocks: u32) -> Self {
        let binary = env!("CARGO_BIN_EXE_rookery");
        let limited =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec {binary} {}", SERVE.join(" "));
        let mut command = Command::new("sh");
        command.args(["-c", &limited]).current_dir(folder);
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::spawn_with_log(command)
    }

    /// Its log goes where the command says.
    pub fn spawn_with_log(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (mut line, mut address, mut metrics) = (String::new(), String::new(), None);
        while !line.contains("Database") {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "it ended without an address");
            let place = line.split("//").nth(1).unwrap_or_default().trim_end();
            match place.split_once('/') {
                Some((place, "graphql")) => place.clone_into(&mut address),
                Some((place, "metrics")) => metrics = Some(place.to_owned()),
                _ => {}
            }
        }
        Self { process, stdout, address, metrics }
    }

    /// Sends the head of a POST; the service is reading the body when this returns.
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
        let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_on).unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 "));
        stream
    }

    pub fn post(&self, token: &str, query: &str) -> Value {
        let body = json!({ "query": query }).to_string();
        let token = format!("authorization: Bearer {token}\r\n");
        end(self.begin(if token.contains("rookery_") { &token } else { "" }, body.len()), &body)
    }

    pub fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// The last words of a service that was told to stop.
    pub fn wait(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends the body and reads the answer's.
pub fn end(mut stream: TcpStream, body: &str) -> Value {
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let is_answer = ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 503 Service Unavailable\r\n"];
    assert!(is_answer.iter().any(|start| answer.starts_with(start)), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The whole answer, with its head.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
