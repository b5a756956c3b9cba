//! Avatars: the avatar test of the Flask Mega-Tutorial, in GraphQL.

use crate::support::app::TestApp;

#[tokio::test]
async fn avatar_url_is_the_gravatar_of_the_email_in_the_requested_size() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let data = john.query("{ viewer { user { avatarUrl small: avatarUrl(size: 36) } } }").await;
    let hash = "d4c74594d841139328695756648b6bd6";
    let url = |size| format!("https://www.gravatar.com/avatar/{hash}?d=identicon&s={size}");
    assert_eq!(data["viewer"]["user"]["avatarUrl"], url(128));
    assert_eq!(data["viewer"]["user"]["small"], url(36));

    john.mutate("updateProfile(input: {email: \"  John@Example.COM \"}) { userErrors { code } }")
        .await;
    let data = john.query("{ viewer { email user { avatarUrl } } }").await;
    assert_eq!(data["viewer"]["email"], "john@example.com");
    assert_eq!(data["viewer"]["user"]["avatarUrl"], url(128));

    for size in ["0", "-1", "2049"] {
        let document = format!("{{ viewer {{ user {{ avatarUrl(size: {size}) }} }} }}");
        assert_eq!(john.error(&document).await, "ARGUMENT_OUT_OF_RANGE");
    }
}
