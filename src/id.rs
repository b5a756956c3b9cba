//! Opaque global ids: what clients hold instead of keys. An id says what it names, so `node` can
//! fetch it and a post's id is refused where a user's is due.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

/// Everything that has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    User(i64),
    Post(i64),
    Session(i64),
    /// Between the viewer and one other user.
    Relationship {
        viewer: i64,
        user: i64,
    },
}

impl Id {
    #[must_use]
    pub fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(17);
        let (tag, keys) = match self {
            Self::User(key) => (b'U', [Some(key), None]),
            Self::Post(key) => (b'P', [Some(key), None]),
            Self::Session(key) => (b'S', [Some(key), None]),
            Self::Relationship { viewer, user } => (b'R', [Some(viewer), Some(user)]),
        };
        bytes.push(tag);
        for key in keys.into_iter().flatten() {
            bytes.extend(key.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// # Errors
    /// [`Error::InvalidId`] when the text is not an id that [`Id::encode`] made.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let (tag, rest) = bytes.split_first().ok_or(Error::InvalidId)?;
        let keys: Vec<i64> = rest
            .chunks(8)
            .filter_map(|chunk| Some(i64::from_be_bytes(chunk.try_into().ok()?)))
            .collect();
        match (tag, keys.as_slice(), rest.len() % 8) {
            (b'U', &[key], 0) => Ok(Self::User(key)),
            (b'P', &[key], 0) => Ok(Self::Post(key)),
            (b'S', &[key], 0) => Ok(Self::Session(key)),
            (b'R', &[viewer, user], 0) => Ok(Self::Relationship { viewer, user }),
            _ => Err(Error::InvalidId),
        }
    }

    /// # Errors
    /// [`Error::InvalidId`] when the id is broken or names something else.
    pub fn session(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::Session(key) => Ok(key),
            _ => Err(Error::InvalidId),
        }
    }

    /// # Errors
    /// [`Error::InvalidId`] when the id is broken or names something else.
    pub fn user(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::User(key) => Ok(key),
            _ => Err(Error::InvalidId),
        }
    }

    /// # Errors
    /// [`Error::InvalidId`] when the id is broken or names something else.
    pub fn post(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::Post(key) => Ok(key),
            _ => Err(Error::InvalidId),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_comes_back_as_it_went(viewer in any::<i64>(), user in any::<i64>()) {
            for id in [Id::User(user), Id::Post(user), Id::Session(user), Id::Relationship { viewer, user }] {
                prop_assert_eq!(Id::decode(&id.encode()).unwrap(), id);
            }
        }

        #[test]
        fn no_text_breaks_decoding(text in "\\PC{0,40}") {
            if let Ok(id) = Id::decode(&text) {
                prop_assert_eq!(id.encode(), text);
            }
        }
    }

    #[test]
    fn a_post_is_not_a_user() {
        assert!(matches!(Id::user(&Id::Post(1).encode()), Err(Error::InvalidId)));
        assert!(matches!(Id::post(&Id::User(1).encode()), Err(Error::InvalidId)));
        assert!(matches!(Id::decode(""), Err(Error::InvalidId)));
    }
}
