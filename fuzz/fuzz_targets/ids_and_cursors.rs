//! Fuzzes the decoders of global ids and cursors.
//!
//! A decoded value encodes to an equal value again. The seed inputs are in `tests/corpus/ids_and_cursors`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rookery::database::StreamPosition;
use rookery::ids::GlobalId;
use rookery::pagination::{
    CursorKind, decode_cursor, decode_cursor_bytes, encode_cursor, encode_cursor_bytes,
};

const KINDS: [CursorKind; 4] =
    [CursorKind::Users, CursorKind::Posts, CursorKind::UserPosts, CursorKind::Stream];

fuzz_target!(|text: &str| {
    if let Ok(id) = GlobalId::decode(text) {
        assert_eq!(GlobalId::decode(&id.encode()), Ok(id));
    }
    for kind in KINDS {
        if let Ok(id) = decode_cursor::<i64>(kind, text) {
            assert_eq!(decode_cursor(kind, &encode_cursor(kind, &id)), Ok(id));
        }
        if let Ok(username) = decode_cursor::<String>(kind, text) {
            assert_eq!(decode_cursor(kind, &encode_cursor(kind, &username)), Ok(username));
        }
        if let Ok(bytes) = decode_cursor_bytes(kind, text) {
            let encoded = encode_cursor_bytes(kind, &bytes);
            assert_eq!(decode_cursor_bytes(kind, &encoded), Ok(bytes.clone()));
            if let Some(position) = StreamPosition::from_bytes(&bytes) {
                assert_eq!(position.to_bytes(), bytes);
            }
        }
    }
});
