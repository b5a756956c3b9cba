//! The playground: `GraphiQL` with Rookery's example documents in its tabs, as embedded files.
//!
//! The source of the page is `index.html`, `src/main.jsx` and `src/tabs/`. The build script bundles
//! it with npm and embeds the compressed result, so the page needs no other host. If npm is missing
//! or fails, or if `ROOKERY_PLAYGROUND=cdn` is set, `cdn.html` and `cdn.js` are embedded instead.
//! They load an older `GraphiQL` from a CDN, pinned by version and hash.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// One file of the page.
#[derive(Debug)]
pub struct File {
    /// The path of its URL, relative to the page, without a leading slash.
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static [u8],
    /// Whether `body` is compressed, so that it is sent with `content-encoding: gzip`.
    pub gzip: bool,
    /// Whether the path contains a hash of the file, so that it can be cached without expiry.
    pub immutable: bool,
}

/// The file at `path`; both `""` and `"index.html"` are the page.
#[must_use]
pub fn file(path: &str) -> Option<&'static File> {
    let path = if path.is_empty() { "index.html" } else { path };
    FILES.iter().find(|file| file.path == path)
}

/// The header `content-security-policy` of every file.
///
/// Styles are `'unsafe-inline'`, because the editor adds style elements.
pub const CONTENT_SECURITY_POLICY: &str = if OFFLINE {
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
     font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'"
} else {
    "default-src 'none'; script-src 'self' https://cdn.jsdelivr.net/npm/; \
     style-src https://cdn.jsdelivr.net/npm/ 'unsafe-inline'; img-src data:; font-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_embedded_and_only_its_assets_are_immutable() {
        let page = file("").unwrap();
        assert_eq!(page.path, file("index.html").unwrap().path);
        assert_eq!((page.content_type, page.immutable), ("text/html; charset=utf-8", false));
        assert!(file("no-such-file").is_none());
        assert_eq!(FILES.iter().any(|file| file.immutable), OFFLINE);
        assert!(FILES.iter().all(|file| file.gzip == OFFLINE && !file.body.is_empty()));
    }
}
