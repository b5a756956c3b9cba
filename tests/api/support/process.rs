//! An instance in a process of its own, which a test can kill.
//!
//! Its HTTP client is written by hand on a blocking socket, so that writers on plain threads see a
//! killed server as a missing response.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A running `rookery serve`.
pub struct Process {
    child: Child,
    /// Kept open, because a write to a closed pipe would fail.
    _stdout: BufReader<ChildStdout>,
    pub address: String,
}

impl Process {
    /// Starts an instance on the database at `url`, and waits until it listens.
    pub fn start(url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rookery"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let line = (&mut stdout).lines().map(Result::unwrap).find(|line| line.contains("/graphql"));
        let line = line.unwrap();
        let address = line.split("//").nth(1).unwrap().trim_end().replace("/graphql", "");
        Self { child, _stdout: stdout, address }
    }

    /// The response to a query, or `None` if there is none.
    ///
    /// An empty token is anonymous.
    pub fn post(address: &str, token: &str, query: &str) -> Option<Value> {
        let body = json!({ "query": query }).to_string();
        let authorization = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let mut stream = TcpStream::connect(address).ok()?;
        write!(
            stream,
            "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             {authorization}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        serde_json::from_str(response.split_once("\r\n\r\n")?.1).ok()
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
