//! The tutorial's avatar test in its GraphQL form.

use crate::app::TestApp;

#[tokio::test]
async fn the_avatar_is_made_from_the_email() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
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
