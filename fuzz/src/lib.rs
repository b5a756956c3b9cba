//! The server in process, on a temporary database, shared by the fuzz targets.
//!
//! A target fails by a panic. Every request must get a response, and no response may report an
//! internal error.

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

/// The application, its runtime and the folder of its database.
pub struct Service {
    pub app: App,
    pub runtime: Runtime,
    _folder: TempDir,
}

/// The service, built at the first access.
///
/// Rate limits are off, and password hashes are cheap.
pub static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("create a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("build a runtime");
    let url = format!("sqlite://{}", folder.path().join("fuzz.db").display());
    let options = [
        "fuzz",
        "--rate-limit-per-network=0",
        "--rate-limit-per-user=0",
        "--credential-attempts-per-minute=0",
        "--max-batch=4",
        "--argon2-memory-kib=8",
        "--argon2-iterations=1",
        "--mail-folder=none",
        "--database-url",
        &url,
    ];
    let config = Options::parse_from(options).config;
    let app = runtime.block_on(App::build(&config)).expect("build the application");
    Service { app, runtime, _folder: folder }
});

/// Sends a request and checks the response.
///
/// # Panics
/// When there is no response, when its status is 500 or above and not 503, when its body is not
/// JSON, or when it has an error with the code `INTERNAL`.
pub fn send(request: Request<Body>) {
    let service = &*SERVICE;
    service.runtime.block_on(async {
        let response = service.app.router.clone().oneshot(request).await.expect("a response");
        let status = response.status();
        // An event stream may be endless, so it is not read.
        if response.headers()["content-type"] == "text/event-stream" {
            return;
        }
        let body = response.into_body().collect().await.expect("read the body").to_bytes();
        let text = String::from_utf8_lossy(&body);
        let is_unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(!status.is_server_error() || is_unavailable, "{status}: {text}");
        let json: serde_json::Value = serde_json::from_slice(&body).expect("the body is JSON");
        assert!(!text.contains("\"INTERNAL\""), "{json}");
    });
}
