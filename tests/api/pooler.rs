//! Connections to PostgreSQL through a connection pooler, and with TLS.

use std::fs;
use std::process::{Child, Command, Stdio};

use rookery::app::App;
use rookery::database::{Database, Snapshot};
use sea_orm::{ConnectionTrait as _, Statement};

use crate::support::actors::Actor;
use crate::support::app::{TestApp, TestDatabase, config};
use crate::support::server::{PostgresServer, free_port, run_unprivileged};

/// PgBouncer in transaction mode in front of a server.
///
/// `ROOKERY_TEST_PGBOUNCER` is the path of the program (default: `pgbouncer`), which needs at least
/// version 1.21.
struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    fn new(server: &PostgresServer) -> Self {
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
        run_unprivileged(&mut command);
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
async fn two_instances_work_through_pgbouncer_in_transaction_mode() {
    let server = PostgresServer::new(&[]);
    let pooler = Pooler::new(&server);
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", pooler.port);
    let error = format!("{:#}", App::build(&config(&url, &[])).await.err().unwrap());
    assert!(error.contains("give each instance its own id with --instance-id"), "{error}");

    let a = TestApp::at(TestDatabase::External(url.clone()), &["--instance-id", "1"]).await;
    let b = TestApp::at(TestDatabase::External(url), &["--instance-id", "2"]).await;
    let (john, susan) = (a.register("john").await, b.register("susan").await);
    let actors_at = |app| (john.at(app), susan.at(app));
    let work = async |(john, susan): (Actor<'_>, Actor<'_>)| {
        for n in 0..20 {
            john.follow(&susan).await;
            susan.write(&n.to_string()).await;
            john.timeline().await;
            susan.unfollow(&john).await;
        }
    };
    tokio::join!(
        work(actors_at(&a)),
        work(actors_at(&b)),
        work(actors_at(&a)),
        work(actors_at(&b))
    );
    assert_eq!(john.timeline().await.len(), 20);
    let count = "{ viewer { user { postsCount posts { totalCount } followingCount } } }";
    let data = susan.at(&a).query(count).await;
    assert_eq!(data["viewer"]["user"]["posts"]["totalCount"], 80);
    assert_eq!(data["viewer"]["user"]["postsCount"], 80);
    // Each request reads from one snapshot, although the pooler dropped the startup options.
    let transaction = Snapshot::new(a.database()).transaction().await.unwrap();
    let show = "SHOW transaction_isolation";
    let show = Statement::from_string(transaction.get_database_backend(), show);
    let row = transaction.query_one_raw(show).await.unwrap().unwrap();
    let isolation: String = row.try_get_by(0).unwrap();
    assert_eq!(isolation, "repeatable read");
}

/// Runs `openssl` in a folder, with arguments that contain no spaces.
fn openssl(folder: &std::path::Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn sslmode_and_sslrootcert_have_the_meaning_of_libpq() {
    let server = PostgresServer::new(&[]);
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

    let connect = async |settings: String| {
        let url = format!("{}?{settings}", server.url());
        let config = config(&url, &["--database-acquire-timeout", "2"]);
        let opened = Database::open(&config.database).await;
        opened.map(drop).map_err(|error| format!("{error:#}"))
    };
    let root_certificate = |name: &str| format!("sslrootcert={}", folder.join(name).display());
    connect(format!("sslmode=verify-full&{}", root_certificate("ca.pem"))).await.unwrap();
    connect("sslmode=require".to_owned()).await.unwrap();
    let plain = connect("sslmode=disable".to_owned()).await.unwrap_err();
    assert!(plain.contains("no pg_hba.conf entry"), "{plain}");
    let other_ca = connect(format!("sslmode=verify-full&{}", root_certificate("other.pem")))
        .await
        .unwrap_err();
    assert!(other_ca.contains("certificate"), "{other_ca}");
    let system_cas = connect("sslmode=verify-full".to_owned()).await.unwrap_err();
    assert!(system_cas.contains("certificate"), "{system_cas}");
}
