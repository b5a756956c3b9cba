//! Who acts in the tests: john, susan, mary, david, and whoever is needed besides.

use serde_json::{Value, json};

use crate::app::TestApp;

pub struct Actor<'a> {
    pub app: &'a TestApp,
    pub username: String,
    pub token: Option<String>,
    pub id: String,
}

impl Actor<'_> {
    /// The whole answer, errors and all.
    pub async fn ask(&self, document: &str, variables: Value) -> Value {
        let body = json!({ "query": document, "variables": variables });
        self.app.post(self.token.as_deref(), &body).await
    }

    /// The same user, asking another instance.
    pub fn at<'a>(&self, app: &'a TestApp) -> Actor<'a> {
        let Self { username, token, id, .. } = self;
        Actor { app, username: username.clone(), token: token.clone(), id: id.clone() }
    }

    /// The data of an answer without errors.
    pub async fn run(&self, document: &str, variables: Value) -> Value {
        let mut answer = self.ask(document, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}\nto {document}");
        answer["data"].take()
    }

    pub async fn query(&self, document: &str) -> Value {
        self.run(document, json!({})).await
    }

    /// The payload of a document with one mutation.
    pub async fn mutate(&self, document: &str) -> Value {
        let document = format!("mutation {{ {document} }}");
        let data = self.run(&document, json!({})).await;
        data.as_object().unwrap().values().next().unwrap().clone()
    }

    /// The code of the first top-level error.
    pub async fn error(&self, document: &str) -> String {
        let answer = self.ask(document, json!({})).await;
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no code in {answer:#}\nto {document}")).to_owned()
    }

    /// The code of the first user error of a document with one mutation.
    pub async fn user_error(&self, document: &str) -> String {
        let payload = self.mutate(document).await;
        let code = payload["userErrors"][0]["code"].as_str();
        code.unwrap_or_else(|| panic!("no user error in {payload:#}\nto {document}")).to_owned()
    }

    pub async fn follow(&self, other: &Actor<'_>) -> bool {
        let by = &other.username;
        let payload = self
            .mutate(&format!(
                "follow(user: {{username: \"{by}\"}}) {{ changed userErrors {{ code }} }}"
            ))
            .await;
        assert_eq!(payload["userErrors"], json!([]));
        payload["changed"].as_bool().unwrap()
    }

    pub async fn unfollow(&self, other: &Actor<'_>) -> bool {
        let by = &other.username;
        let payload = self
            .mutate(&format!(
                "unfollow(user: {{username: \"{by}\"}}) {{ changed userErrors {{ code }} }}"
            ))
            .await;
        assert_eq!(payload["userErrors"], json!([]));
        payload["changed"].as_bool().unwrap()
    }

    /// Writes a post and returns its id.
    pub async fn write(&self, body: &str) -> String {
        let create = "mutation ($body: String!) { createPost(input: {body: $body}) {
            post { id } userErrors { code message } } }";
        let data = self.run(create, json!({ "body": body })).await;
        assert_eq!(data["createPost"]["userErrors"], json!([]));
        data["createPost"]["post"]["id"].as_str().unwrap().to_owned()
    }

    /// The bodies on the first page of one's own timeline.
    pub async fn timeline(&self) -> Vec<String> {
        let data = self.query("{ viewer { user { timeline { nodes { body } } } } }").await;
        texts(&data["viewer"]["user"]["timeline"]["nodes"], "body")
    }
}

pub struct Cast<'a> {
    pub john: Actor<'a>,
    pub susan: Actor<'a>,
    pub mary: Actor<'a>,
    pub david: Actor<'a>,
}

impl TestApp {
    pub async fn cast(&self) -> Cast<'_> {
        Cast {
            john: self.join("john").await,
            susan: self.join("susan").await,
            mary: self.join("mary").await,
            david: self.join("david").await,
        }
    }
}

/// One field of each object of a list.
pub fn texts(list: &Value, field: &str) -> Vec<String> {
    let objects = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    objects.iter().map(|object| object[field].as_str().unwrap().to_owned()).collect()
}
