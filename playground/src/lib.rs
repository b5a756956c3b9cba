//! The playground: `GraphiQL` with Rookery's own tabs, as files ready to be served.
//!
//! The page's source is `index.html`, `src/main.jsx` and `src/tabs/`. The build script has npm bundle it and embeds the
//! compressed result, so that the page asks no other host for anything. Where npm is missing, fails, or is turned off
//! with `ROOKERY_PLAYGROUND=cdn`, `cdn.html` and `cdn.js` are embedded instead: they load an older
//! `GraphiQL` from a CDN, pinned by version and hash.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// One file of the page.
#[derive(Debug)]
pub struct File {
    /// Where the page expects it, relative to the page itself; no leading slash.
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static [u8],
    /// Whether `body` is compressed and must be sent with `content-encoding: gzip`.
    pub gzip: bool,
    /// Whether the name changes with the contents, so that caches may keep the file for ever.
    pub immutable: bool,
}

/// The file at `path`; both `""` and `"index.html"` are the page.
#[must_use]
pub fn file(path: &str) -> Option<&'static File> {
    let path = if path.is_empty() { "index.html" } else { path };
    FILES.iter().find(|file| file.path == path)
}

/// The `content-security-policy` header to send with every file. Styles stay `'unsafe-inline'`, because the editor
/// writes its own.
pub const CONTENT_SECURITY_POLICY: &str = if OFFLINE {
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
     font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'"
} else {
    "default-src 'none'; script-src 'self' https://cdn.jsdelivr.net/npm/; \
     style-src https://cdn.jsdelivr.net/npm/ 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_its_assets_are_cacheable() {
        let page = file("").unwrap();
        assert_eq!(page.path, file("index.html").unwrap().path);
        assert_eq!((page.content_type, page.immutable), ("text/html; charset=utf-8", false));
        assert!(file("no-such-file").is_none());
        assert_eq!(FILES.iter().any(|file| file.immutable), OFFLINE);
        assert!(FILES.iter().all(|file| file.gzip == OFFLINE && !file.body.is_empty()));
    }
}
