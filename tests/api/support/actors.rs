//! Users that act in the tests.
//!
//! They are john, susan, mary, david, and others that a test registers. An [`Actor`] executes
//! GraphQL documents with the token of its user, against one instance.

use rookery::command::token;
use serde_json::{Value, json};

use crate::support::app::TestApp;

/// A user, or an anonymous client, of one instance.
pub struct Actor<'a> {
    pub app: &'a TestApp,
    /// Empty for an anonymous client.
    pub username: String,
    /// `None` for an anonymous client.
    pub token: Option<String>,
    /// The user's global id. Empty for an anonymous client.
    pub id: String,
}

impl Actor<'_> {
    /// Executes a document and returns the whole response, including errors.
    pub async fn execute(&self, document: &str, variables: Value) -> Value {
        let body = json!({ "query": document, "variables": variables });
        self.app.post(self.token.as_deref(), &body).await
    }

    /// The same user as a client of another instance.
    pub fn at<'a>(&self, app: &'a TestApp) -> Actor<'a> {
        let Self { username, token, id, .. } = self;
        Actor { app, username: username.clone(), token: token.clone(), id: id.clone() }
    }

    /// Executes a document that must succeed, and returns its `data`.
    pub async fn run(&self, document: &str, variables: Value) -> Value {
        let mut response = self.execute(document, variables).await;
        assert!(response.get("errors").is_none(), "{response:#}\nto {document}");
        response["data"].take()
    }

    /// Executes a document without variables that must succeed, and returns its `data`.
    pub async fn query(&self, document: &str) -> Value {
        self.run(document, json!({})).await
    }

    /// Executes one mutation field, which must succeed, and returns its payload.
    pub async fn mutate(&self, field: &str) -> Value {
        let document = format!("mutation {{ {field} }}");
        let data = self.run(&document, json!({})).await;
        data.as_object().unwrap().values().next().unwrap().clone()
    }

    /// Executes a document that must fail, and returns the code of its first error.
    pub async fn error(&self, document: &str) -> String {
        let response = self.execute(document, json!({})).await;
        let code = response["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no code in {response:#}\nto {document}")).to_owned()
    }

    /// Executes one mutation field, and returns the code of its first user error.
    pub async fn user_error(&self, field: &str) -> String {
        let payload = self.mutate(field).await;
        let code = payload["userErrors"][0]["code"].as_str();
        code.unwrap_or_else(|| panic!("no user error in {payload:#}\nto {field}")).to_owned()
    }

    /// Follows another user. Returns `changed`.
    pub async fn follow(&self, other: &Actor<'_>) -> bool {
        let username = &other.username;
        let payload = self
            .mutate(&format!(
                "follow(user: {{username: \"{username}\"}}) {{ changed userErrors {{ code }} }}"
            ))
            .await;
        assert_eq!(payload["userErrors"], json!([]));
        payload["changed"].as_bool().unwrap()
    }

    /// Unfollows another user. Returns `changed`.
    pub async fn unfollow(&self, other: &Actor<'_>) -> bool {
        let username = &other.username;
        let payload = self
            .mutate(&format!(
                "unfollow(user: {{username: \"{username}\"}}) {{ changed userErrors {{ code }} }}"
            ))
            .await;
        assert_eq!(payload["userErrors"], json!([]));
        payload["changed"].as_bool().unwrap()
    }

    /// Protects the user's account, or ends the protection.
    pub async fn protect(&self, is_protected: bool) {
        let field = format!(
            "updateProfile(input: {{isProtected: {is_protected}}}) {{
             user {{ isProtected }} userErrors {{ code }} }}"
        );
        let expected = json!({ "user": { "isProtected": is_protected }, "userErrors": [] });
        assert_eq!(self.mutate(&field).await, expected);
    }

    /// Creates a post and returns its id.
    pub async fn write(&self, body: &str) -> String {
        let create = "mutation ($body: String!) { createPost(input: {body: $body}) {
            post { id } userErrors { code message } } }";
        let data = self.run(create, json!({ "body": body })).await;
        assert_eq!(data["createPost"]["userErrors"], json!([]));
        data["createPost"]["post"]["id"].as_str().unwrap().to_owned()
    }

    /// Replies to a post and returns the id of the reply.
    pub async fn reply(&self, post: &str, body: &str) -> String {
        let create = "mutation ($input: CreatePostInput!) { createPost(input: $input) {
            post { id } userErrors { code message } } }";
        let input = json!({ "body": body, "inReplyToId": post });
        let data = self.run(create, json!({ "input": input })).await;
        assert_eq!(data["createPost"]["userErrors"], json!([]));
        data["createPost"]["post"]["id"].as_str().unwrap().to_owned()
    }

    /// The bodies on the first page of the user's timeline.
    pub async fn timeline(&self) -> Vec<String> {
        let data = self.query("{ viewer { user { timeline { nodes { body } } } } }").await;
        texts(&data["viewer"]["user"]["timeline"]["nodes"], "body")
    }
}

/// The four users of most tests.
pub struct Actors<'a> {
    pub john: Actor<'a>,
    pub susan: Actor<'a>,
    pub mary: Actor<'a>,
    pub david: Actor<'a>,
}

impl TestApp {
    /// A user that was imported, with a token of the operator.
    pub async fn imported(&self, username: &str) -> Actor<'_> {
        let token = token::create(self.database(), username, 1).await.unwrap();
        let actor = Actor { token: Some(token), username: username.to_owned(), ..self.anonymous() };
        let viewer = actor.query("{ viewer { user { id } } }").await;
        let id = viewer["viewer"]["user"]["id"].as_str().unwrap().to_owned();
        Actor { id, ..actor }
    }

    /// Registers john, susan, mary and david.
    pub async fn actors(&self) -> Actors<'_> {
        Actors {
            john: self.register("john").await,
            susan: self.register("susan").await,
            mary: self.register("mary").await,
            david: self.register("david").await,
        }
    }
}

/// The values of one text field in a list of objects.
pub fn texts(list: &Value, field: &str) -> Vec<String> {
    let objects = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    objects.iter().map(|object| object[field].as_str().unwrap().to_owned()).collect()
}
