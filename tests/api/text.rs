//! Which texts are accepted, and which spellings are the same.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};

const POST: &str = "mutation ($text: String!) { result: createPost(input: {body: $text}) {
    post { body } userErrors { code } } }";
const DISPLAY_NAME: &str = "mutation ($text: String!) {
    result: updateProfile(input: {displayName: $text}) { user { displayName } userErrors { code } }
}";
const ABOUT_ME: &str = "mutation ($text: String!) {
    result: updateProfile(input: {aboutMe: $text}) { user { aboutMe } userErrors { code } } }";
const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) {
    viewer { email } userErrors { code path } } }";
const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) {
    token userErrors { code } } }";

#[tokio::test]
async fn a_text_needs_a_visible_character() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    // Zero width space, byte order mark, word joiner, Hangul filler, Braille blank, soft hyphen,
    // zero width joiner, ideographic space, variation selector, tag.
    let invisible = "\u{200b} \u{feff} \u{2060} \u{3164} \u{2800} \u{ad} \u{200d} \u{3000} \u{fe0f} \
        \u{e0041} \u{1160} \u{180e} \u{61c}";
    for document in [POST, DISPLAY_NAME, ABOUT_ME] {
        let result =
            async |text: &str| john.run(document, json!({ "text": text })).await["result"].take();
        for text in invisible.split(' ').chain([invisible]) {
            let result = result(text).await;
            assert_eq!(result["userErrors"][0]["code"], "INVALID_INPUT", "{text:?} {document}");
        }
        for text in
            ["a", "\u{1f426}", "\u{200b}a", "👩\u{200d}👩\u{200d}👧", "❤\u{fe0f}", "ᄀ", "\u{301}"]
        {
            let result = result(text).await;
            assert_eq!(result["userErrors"], json!([]), "{text:?} {document}");
            let object = &result[if document == POST { "post" } else { "user" }];
            let stored = object.as_object().unwrap().values().next().unwrap();
            assert_eq!(stored, text, "stored as it was sent");
        }
    }
}

#[tokio::test]
async fn a_display_name_is_a_trimmed_single_line() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for text in ["a\nb", "a\r\nb", "a\tb", "a\u{2028}b", "a\u{2029}b", "a\u{85}b", "a\u{b}b"] {
        let data = john.run(DISPLAY_NAME, json!({ "text": text })).await;
        assert_eq!(data["result"]["userErrors"][0]["code"], "INVALID_INPUT", "{text:?}");
    }
    let longest = "x".repeat(50);
    for (text, stored) in [
        (" John ", "John"),
        ("\tJohn\n", "John"),
        ("\u{3000}John  Doe\u{a0}", "John  Doe"),
        (&format!("  {longest}  "), &longest),
    ] {
        let data = john.run(DISPLAY_NAME, json!({ "text": text })).await;
        assert_eq!(data["result"]["user"]["displayName"], stored, "{:?}", data["result"]);
    }
}

#[tokio::test]
async fn an_email_address_has_one_form_and_a_domain_name() {
    let app = TestApp::new().await;
    let register = async |username: &str, email: &str| {
        let input = json!({ "username": username, "email": email, "password": PASSWORD });
        app.anonymous().run(REGISTER, json!({ "input": input })).await["register"].take()
    };
    let spellings = [
        " Jos\u{e9}@B\u{fc}cher.de ",
        "jose\u{301}@xn--bcher-kva.de",
        "JOSE\u{301}@BU\u{308}CHER.de",
    ];
    let registered = register("jose", spellings[0]).await;
    assert_eq!(registered["viewer"]["email"], "jos\u{e9}@xn--bcher-kva.de");
    for spelling in spellings {
        let taken = register("other", spelling).await;
        assert_eq!(taken["userErrors"][0]["code"], "EMAIL_TAKEN", "{spelling}");
        let input = json!({ "username": spelling, "password": PASSWORD });
        let data = app.anonymous().run(LOGIN, json!({ "input": input })).await;
        assert!(data["login"]["token"].is_string(), "{spelling}");
    }
    for email in [
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@1.2",
        "a@localhost",
        "a@import.invalid",
        "u5@IMPORT.INVALID",
        "a@b..de",
        "a@-b.de",
        "a@b c.de",
        "\"a b\"@example.com",
        "\"a\"@example.com",
    ] {
        let rejected = register("other", email).await;
        let expected = json!([{ "code": "INVALID_INPUT", "path": ["input", "email"] }]);
        assert_eq!(rejected["userErrors"], expected, "{email}");
    }
}

#[tokio::test]
async fn login_ignores_spaces_around_the_username_and_the_form_of_the_password() {
    let app = TestApp::new().await;
    let composed = "caf\u{e9} au lait \u{d55c}\u{ae00}";
    let decomposed = "cafe\u{301} au lait \u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}";
    let too_short = "e\u{301}".repeat(7);
    for (username, password, code) in
        [("mary", composed, Value::Null), ("john", &too_short, json!("INVALID_INPUT"))]
    {
        let email = format!("{username}@example.com");
        let input = json!({ "username": username, "email": email, "password": password });
        let data = app.anonymous().run(REGISTER, json!({ "input": input })).await;
        assert_eq!(data["register"]["userErrors"][0]["code"], code, "{username}");
    }
    for username in ["mary", " mary ", "\tMARY\n"] {
        for (password, expected) in [
            (composed, Value::Null),
            (decomposed, Value::Null),
            ("cafe au lait \u{d55c}\u{ae00}", json!("INVALID_CREDENTIALS")),
        ] {
            let input = json!({ "username": username, "password": password });
            let data = app.anonymous().run(LOGIN, json!({ "input": input })).await;
            assert_eq!(data["login"]["userErrors"][0]["code"], expected, "{username:?}");
        }
    }
}
