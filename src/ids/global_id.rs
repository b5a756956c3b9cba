//! Global ids: the opaque ids of the GraphQL interface.
//!
//! A global id contains the type of the object, so that `node` can fetch it and the id of a post is
//! rejected where the id of a user is expected. Its form is base64url of a tag byte and the row ids
//! as big-endian 64-bit integers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

/// The id of an object, with the object's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GlobalId {
    User(i64),
    Post(i64),
    Session(i64),
    Notification(i64),
    /// The relationship of a viewer to another user, which has no row of its own.
    Relationship {
        viewer: i64,
        user: i64,
    },
}

impl GlobalId {
    /// The text that clients receive.
    #[must_use]
    pub fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(17);
        let (tag, row_ids) = match self {
            Self::User(id) => (b'U', [Some(id), None]),
            Self::Post(id) => (b'P', [Some(id), None]),
            Self::Session(id) => (b'S', [Some(id), None]),
            Self::Notification(id) => (b'N', [Some(id), None]),
            Self::Relationship { viewer, user } => (b'R', [Some(viewer), Some(user)]),
        };
        bytes.push(tag);
        for id in row_ids.into_iter().flatten() {
            bytes.extend(id.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The global id of a text that [`Self::encode`] returned.
    ///
    /// # Errors
    /// [`Error::InvalidId`] for any other text.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let (tag, rest) = bytes.split_first().ok_or(Error::InvalidId)?;
        let row_ids: Vec<i64> = rest
            .chunks(8)
            .filter_map(|chunk| Some(i64::from_be_bytes(chunk.try_into().ok()?)))
            .collect();
        match (tag, row_ids.as_slice(), rest.len() % 8) {
            (b'U', &[id], 0) => Ok(Self::User(id)),
            (b'P', &[id], 0) => Ok(Self::Post(id)),
            (b'S', &[id], 0) => Ok(Self::Session(id)),
            (b'N', &[id], 0) => Ok(Self::Notification(id)),
            (b'R', &[viewer, user], 0) => Ok(Self::Relationship { viewer, user }),
            _ => Err(Error::InvalidId),
        }
    }

    /// The row id of a session's global id.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when the text is not the global id of a session.
    pub fn session(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::Session(id) => Ok(id),
            _ => Err(Error::InvalidId),
        }
    }

    /// The row id of a notification's global id.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when the text is not the global id of a notification.
    pub fn notification(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::Notification(id) => Ok(id),
            _ => Err(Error::InvalidId),
        }
    }

    /// The row id of a user's global id.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when the text is not the global id of a user.
    pub fn user(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::User(id) => Ok(id),
            _ => Err(Error::InvalidId),
        }
    }

    /// The row id of a post's global id.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when the text is not the global id of a post.
    pub fn post(text: &str) -> Result<i64, Error> {
        match Self::decode(text)? {
            Self::Post(id) => Ok(id),
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
        fn encoded_id_decodes_to_itself(viewer in any::<i64>(), user in any::<i64>()) {
            for id in [
                GlobalId::User(user),
                GlobalId::Post(user),
                GlobalId::Session(user),
                GlobalId::Notification(user),
                GlobalId::Relationship { viewer, user },
            ] {
                prop_assert_eq!(GlobalId::decode(&id.encode()).unwrap(), id);
            }
        }

        #[test]
        fn only_encoded_ids_are_decoded(text in "\\PC{0,40}") {
            if let Ok(id) = GlobalId::decode(&text) {
                prop_assert_eq!(id.encode(), text);
            }
        }
    }

    #[test]
    fn id_of_another_type_is_rejected() {
        assert!(matches!(GlobalId::user(&GlobalId::Post(1).encode()), Err(Error::InvalidId)));
        assert!(matches!(GlobalId::post(&GlobalId::User(1).encode()), Err(Error::InvalidId)));
        assert!(matches!(GlobalId::decode(""), Err(Error::InvalidId)));
    }
}
