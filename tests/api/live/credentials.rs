//! The parameters of `connection_init` that hold a token.

use serde_json::json;

use super::socket::{Incoming, Socket};
use crate::support::app::TestApp;
use crate::support::identity_provider::{IdentityProvider, now};

#[tokio::test]
async fn the_token_of_a_connection_is_read_from_each_common_parameter() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let token = format!("Bearer {}", john.token.as_ref().unwrap());
    for (parameters, expected) in [
        (json!({ "authorization": token }), json!({ "user": { "username": "john" } })),
        (json!({ "Authorization": token }), json!({ "user": { "username": "john" } })),
        (
            json!({ "headers": { "Authorization": token } }),
            json!({ "user": { "username": "john" } }),
        ),
        (
            json!({ "headers": { "authorization": token, "x-other": 1 } }),
            json!({ "user": { "username": "john" } }),
        ),
        (
            json!({ "authorization": token, "headers": { "Authorization": "" } }),
            json!({ "user": { "username": "john" } }),
        ),
        (json!({ "authorization": "" }), json!(null)),
        (json!({ "authorization": null, "headers": null, "token": null }), json!(null)),
        (json!({ "headers": {}, "lang": "de", "authorName": "x" }), json!(null)),
    ] {
        let mut socket = Socket::open(&address).await;
        socket.send(json!({ "type": "connection_init", "payload": parameters })).await;
        assert_eq!(socket.message().await["type"], "connection_ack", "{parameters}");
        socket.subscribe("1", "{ viewer { user { username } } }", json!({})).await;
        let response = socket.message().await;
        assert_eq!(response["payload"]["data"]["viewer"], expected, "{parameters}");
    }
}

/// The token is verified once, and found again for each operation.
#[tokio::test]
async fn a_token_of_the_identity_provider_opens_a_connection() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let address = app.serve(&[]).await;
    let token = provider.token("susan");
    let mut socket = Socket::open(&address).await;
    let payload = json!({ "authorization": format!("Bearer {token}") });
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    socket.subscribe("1", "{ viewer { user { username } } }", json!({})).await;
    let response = socket.message().await;
    let viewer = json!({ "user": { "username": "susan" } });
    assert_eq!(response["payload"]["data"]["viewer"], viewer);

    let expired = provider.sign(&provider.claims("susan", &json!({ "exp": now() - 120 })));
    let mut socket = Socket::open(&address).await;
    let payload = json!({ "authorization": format!("Bearer {expired}") });
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4403));
}
