//! What the targets share: the service in process, on a database of its own, asked what a client would send. A target
//! fails by a panic: whatever comes in, there is an answer, and no answer is our mistake.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clap::Parser;
use http_body_util::BodyExt as _;
use rookery::app::App;
use rookery::config::Config;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    config: Config,
}

/// In the order in which they are needed to the end.
pub struct Service {
    pub app: App,
    pub runtime: Runtime,
    _folder: TempDir,
}

pub static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = format!("sqlite://{}", folder.path().join("fuzz.db").display());
    let rates = ["--rate-network=0", "--rate-user=0", "--rate-attempts=0", "--max-batch=4"];
    let cheap = ["--argon2-memory-kib=8", "--argon2-iterations=1", "--database-url"];
    let options = [&["fuzz"], &rates[..], &cheap[..], &[&url]].concat();
    let config = Options::parse_from(options).config;
    let app = runtime.block_on(App::build(&config)).expect("an application");
    Service { app, runtime, _folder: folder }
});

/// # Panics
/// When the answer is not one that the service promises.
pub fn ask(request: Request<Body>) {
    let service = &*SERVICE;
    service.runtime.block_on(async {
        let response = service.app.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        // A stream of events need not end.
        if response.headers()["content-type"] == "text/event-stream" {
            return;
        }
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&body);
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(!status.is_server_error() || is_busy, "{status}: {text}");
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert!(!text.contains("\"INTERNAL\""), "{answer}");
    });
}
