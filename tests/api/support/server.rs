//! PostgreSQL servers for single tests.
//!
//! A test can stop, replicate and restart its server. The servers need PostgreSQL's programs
//! (`pg_config` on the path), so the tests that start them are ignored by default. The command
//! `cargo test --test api -- --ignored` runs these tests.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tempfile::TempDir;

use crate::support::app::TestDatabase;

/// User id of an unprivileged user, because PostgreSQL does not run as root.
const UNPRIVILEGED_UID: u32 = 65_534;

/// A server with its data in a temporary folder. Dropping it stops the server.
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
}

impl PostgresServer {
    /// Creates and starts a server with the given lines in its `postgresql.conf`.
    pub fn new(settings: &[&str]) -> Self {
        let server = Self::in_temporary_folder();
        program("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(server.data())
            .run();
        server.configure(&["fsync = off", "shared_buffers = 32MB"]);
        server.configure(settings);
        server.start();
        server
    }

    /// Creates and starts a streaming replica of this server.
    pub fn replica(&self) -> Self {
        let replica = Self::in_temporary_folder();
        program("pg_basebackup")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()])
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"])
            .arg(replica.data())
            .run();
        replica.start();
        replica
    }

    fn in_temporary_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            chown(folder.path(), Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID)).unwrap();
        }
        Self { folder, port: free_port() }
    }

    pub fn start(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            self.port,
            self.folder.path().display()
        );
        self.control(&["start", "-w", "-l", "/dev/null", "-o", &options]);
    }

    /// Stops the server at once, without a checkpoint, as a crash would.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    fn control(&self, arguments: &[&str]) {
        program("pg_ctl").args(arguments).arg("-D").arg(self.data()).run();
    }

    /// Appends lines to `postgresql.conf`. They apply from the next start.
    pub fn configure(&self, lines: &[&str]) {
        use std::io::Write as _;
        let file = std::fs::File::options().append(true).open(self.data().join("postgresql.conf"));
        writeln!(file.unwrap(), "{}", lines.join("\n")).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Restarts the server with TLS, and rejects connections without it.
    pub fn require_tls(&self, certificate: &str, key: &str) {
        let path = |name| self.folder().join(name);
        if is_root() {
            chown(path(key), Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID)).unwrap();
        }
        fs::set_permissions(path(key), Permissions::from_mode(0o600)).unwrap();
        self.configure(&[
            "ssl = on",
            &format!("ssl_cert_file = '{}'", path(certificate).display()),
            &format!("ssl_key_file = '{}'", path(key).display()),
        ]);
        fs::write(self.data().join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        self.stop();
        self.start();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn database_fixture(&self) -> TestDatabase {
        TestDatabase::External(self.url())
    }

    /// Executes one or more statements.
    pub async fn run(&self, sql: &str) {
        let mut options = ConnectOptions::new(self.url());
        options.max_connections(1).sqlx_logging(false);
        let server = Database::connect(options).await.unwrap();
        server.execute_unprepared(sql).await.unwrap();
        server.close().await.unwrap();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = program("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(self.data()).output();
    }
}

/// A command for one of PostgreSQL's programs, run by an unprivileged user.
fn program(name: &str) -> Command {
    let folder = Command::new("pg_config").arg("--bindir").output().unwrap().stdout;
    let folder = String::from_utf8(folder).unwrap();
    let mut command = Command::new(Path::new(folder.trim()).join(name));
    command.stdout(Stdio::null());
    run_unprivileged(&mut command);
    command
}

/// Makes a command run as [`UNPRIVILEGED_UID`] if the tests run as root.
pub fn run_unprivileged(command: &mut Command) {
    command.current_dir("/");
    if is_root() {
        command.uid(UNPRIVILEGED_UID).gid(UNPRIVILEGED_UID);
    }
}

/// A TCP port that is free when the function is called.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

trait Run {
    fn run(&mut self);
}

impl Run for Command {
    fn run(&mut self) {
        assert!(self.status().unwrap().success(), "{self:?}");
    }
}
