//! Between the service and PostgreSQL: a connection pooler, and TLS.

use std::fs;
use std::process::{Child, Command, Stdio};

use rookery::app::App;
use rookery::database::{Database, Snapshot};

use crate::app::{Place, TestApp, config};
use crate::cast::Actor;
use crate::server::{Server, free_port, run_as_nobody};

/// `pgbouncer` in transaction mode before a server: the program that `ROOKERY_TEST_PGBOUNCER` names, at least
/// version 1.21.
struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    fn new(server: &Server) -> Self {
        let port = free_port();
        let folder = server.folder();
        let users = folder.join("users.txt");
        fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = folder.join("pgbouncer.ini");
        let content = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 3\n\
             ignore_startup_parameters = extra_float_digits, options\n",
            server.port(),
            users.display()
        );
        fs::write(&settings, content).unwrap();
        let program = std::env::var("ROOKERY_TEST_PGBOUNCER").unwrap_or("pgbouncer".to_owned());
        let mut command = Command::new(program);
        run_as_nobody(&mut command);
        let process = command.arg(settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { process: process.unwrap(), port }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[ignore = "starts PostgreSQL and pgbouncer"]
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_transaction_mode_may_be_in_between() {
    let server = Server::new(&[]);
    let pooler = Pooler::new(&server);
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", pooler.port);
    let refused = format!("{:#}", App::build(&config(&url, &[])).await.err().unwrap());
    assert!(refused.contains("give each instance a number of its own with --node"), "{refused}");

    let a = TestApp::at(Place::Server(url.clone()), &["--node", "1"]).await;
    let b = TestApp::at(Place::Server(url), &["--node", "2"]).await;
    let (john, susan) = (a.join("john").await, b.join("susan").await);
    let both = |app| (john.at(app), susan.at(app));
    let work = async |(john, susan): (Actor<'_>, Actor<'_>)| {
        for n in 0..20 {
            john.follow(&susan).await;
            susan.write(&n.to_string()).await;
            john.timeline().await;
            susan.unfollow(&john).await;
        }
    };
    tokio::join!(work(both(&a)), work(both(&b)), work(both(&a)), work(both(&b)));
    assert_eq!(john.timeline().await.len(), 20);
    let count = "{ viewer { user { postsCount posts { totalCount } followingCount } } }";
    let data = susan.at(&a).query(count).await;
    assert_eq!(data["viewer"]["user"]["posts"]["totalCount"], 80);
    assert_eq!(data["viewer"]["user"]["postsCount"], 80);
    // One moment for each request, although the pooler dropped our settings.
    let moment = Snapshot::new(a.database()).get().await.unwrap();
    let isolation = crate::instances::text(&moment, "SHOW transaction_isolation").await;
    assert_eq!(isolation, "repeatable read");
}

/// Makes a certificate authority `name`, and with it a certificate for the server.
fn openssl(folder: &std::path::Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn tls_as_libpq_has_it() {
    let server = Server::new(&[]);
    let folder = server.folder();
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} \
                 -addext basicConstraints=critical,CA:TRUE -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr",
    );
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.pem",
    );
    server.require_tls("server.pem", "server.key");

    let try_with = async |settings: String| {
        let url = format!("{}?{settings}", server.url());
        let config = config(&url, &["--database-acquire-timeout", "2"]);
        let opened = Database::open(&config.database).await;
        opened.map(drop).map_err(|error| format!("{error:#}"))
    };
    let authority = |name: &str| format!("sslrootcert={}", folder.join(name).display());
    try_with(format!("sslmode=verify-full&{}", authority("ca.pem"))).await.unwrap();
    try_with("sslmode=require".to_owned()).await.unwrap();
    let plain = try_with("sslmode=disable".to_owned()).await.unwrap_err();
    assert!(plain.contains("no pg_hba.conf entry"), "{plain}");
    let wrong =
        try_with(format!("sslmode=verify-full&{}", authority("other.pem"))).await.unwrap_err();
    assert!(wrong.contains("certificate"), "{wrong}");
    let strangers = try_with("sslmode=verify-full".to_owned()).await.unwrap_err();
    assert!(strangers.contains("certificate"), "{strangers}");
}
