//! Ids and cursors: a text is what was made here, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rookery::database::Moment;
use rookery::id::Id;
use rookery::page::{List, decode_cursor, decode_place, encode_cursor, encode_place};

fuzz_target!(|text: &str| {
    if let Ok(id) = Id::decode(text) {
        assert_eq!(Id::decode(&id.encode()), Ok(id));
    }
    for list in [List::Users, List::Posts, List::UserPosts, List::Stream] {
        if let Ok(key) = decode_cursor::<i64>(list, text) {
            assert_eq!(decode_cursor(list, &encode_cursor(list, &key)), Ok(key));
        }
        if let Ok(name) = decode_cursor::<String>(list, text) {
            assert_eq!(decode_cursor(list, &encode_cursor(list, &name)), Ok(name));
        }
        if let Ok(place) = decode_place(list, text) {
            assert_eq!(decode_place(list, &encode_place(list, &place)), Ok(place.clone()));
            if let Some(moment) = Moment::from_bytes(&place) {
                assert_eq!(moment.to_bytes(), place);
            }
        }
    }
});
