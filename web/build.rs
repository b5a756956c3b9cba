//! Builds the playground with npm, and writes `files.rs`, the list of the files to embed.
//!
//! Everything is built in `OUT_DIR`, so the source tree stays unchanged. If npm is missing or
//! fails, or if `ROOKERY_PLAYGROUND=cdn` is set, the page that loads its files from a CDN is
//! embedded.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

const SOURCES: [&str; 6] = [
    "package.json",
    "package-lock.json",
    "vite.config.js",
    "index.html",
    "src/main.jsx",
    "src/fetcher.js",
];

fn main() -> io::Result<()> {
    for path in ["build.rs", "cdn.html", "cdn.js", "src/tabs"].iter().chain(&SOURCES) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=ROOKERY_PLAYGROUND");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let web = out.join("web");
    if web.exists() {
        fs::remove_dir_all(&web)?;
    }
    fs::create_dir_all(web.join("src/tabs"))?;
    let mut tabs =
        fs::read_dir("src/tabs")?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    tabs.sort();

    let from_cdn = env::var_os("ROOKERY_PLAYGROUND").is_some_and(|value| value == "cdn");
    let built = if from_cdn { Ok(false) } else { bundle(&web, &tabs).map(|()| true) };
    let offline = built.unwrap_or_else(|reason| {
        println!(
            "cargo::warning={reason}, so the playground will load its files from a CDN instead of \
             the server. Once npm works, run `cargo clean -p playground`. To keep the CDN page, \
             set ROOKERY_PLAYGROUND=cdn."
        );
        false
    });

    let folder = if offline { "web/dist" } else { "web/cdn" };
    let root = out.join(folder);
    if !offline {
        let documents = tabs.iter().map(fs::read_to_string).collect::<io::Result<Vec<_>>>()?;
        fs::create_dir_all(&root)?;
        fs::copy("cdn.html", root.join("index.html"))?;
        fs::copy("src/fetcher.js", root.join("fetcher.js"))?;
        // Rust's debug format of a string without control characters is valid JavaScript.
        let script = format!("const documents = {documents:?};\n{}", fs::read_to_string("cdn.js")?);
        fs::write(root.join("cdn.js"), script)?;
    }
    let mut files = Vec::new();
    list(&root, "", &mut files)?;
    files.sort();
    let mut code = format!(
        "/// Whether all files of the page are embedded, so that it needs no other host.\n\
         pub const OFFLINE: bool = {offline};\n\nstatic FILES: &[File] = &[\n"
    );
    for path in files {
        let content_type = content_type(&path);
        // The bundler writes files with a hashed name, and no others, to assets/.
        let immutable = path.starts_with("assets/");
        writeln!(
            code,
            "File {{ path: {path:?}, content_type: {content_type:?}, immutable: {immutable}, \
             gzip: {offline}, body: include_bytes!(\"{folder}/{path}\") }},"
        )
        .expect("writing to a String does not fail");
    }
    fs::write(out.join("files.rs"), code + "];\n")
}

/// Builds the page from a copy of its source in `web`, into compressed files in `web/dist`.
///
/// # Errors
/// Why the page could not be built.
fn bundle(web: &Path, tabs: &[PathBuf]) -> Result<(), String> {
    for path in tabs.iter().map(PathBuf::as_path).chain(SOURCES.iter().map(Path::new)) {
        fs::copy(path, web.join(path))
            .map_err(|error| format!("copying {} failed: {error}", path.display()))?;
    }
    // With npm's default timeouts, a build without a network would hang for minutes.
    let install = "ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1 \
                   --fetch-retry-mintimeout=500 --fetch-retry-maxtimeout=500 --fetch-timeout=60000";
    let built = npm(web, install).and_then(|()| npm(web, "run build -- --logLevel=error"));
    // About 240 MB that only the bundler needs.
    let _ = fs::remove_dir_all(web.join("node_modules"));
    built
}

/// Runs npm in `web`. An error has the first lines of npm's error output.
fn npm(web: &Path, arguments: &str) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program)
        .arg("--loglevel=error")
        .args(arguments.split_whitespace())
        .env("NODE_ENV", "production")
        .current_dir(web)
        .output()
        .map_err(|error| format!("npm does not start ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let reason: Vec<_> = errors
        .lines()
        .map(|line| line.trim_start_matches("npm error").trim())
        .filter(|line| !line.is_empty() && !line.starts_with("npm warn"))
        .take(3)
        .collect();
    let step = arguments.split(" -").next().unwrap_or_default();
    Err(format!("`npm {step}` failed ({})", reason.join(", ")))
}

/// Collects the paths of all files in `root` and its folders, relative to `root`, with slashes.
fn list(root: &Path, below: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(root, &format!("{path}/"), files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The content type of a file by its extension.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
