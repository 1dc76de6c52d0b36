//! Files over the API: uploads as they are meant and as they are not, what runs are given of them, and links.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_backends::Reserve;
use liteagent_engine::{capability::HttpBody, testing::VirtualClock, units::Size, value};
use liteagent_server::{Settings, Uploads};
use serde_json::{Value as Json, json};

use self::{
    client::{Client, code},
    common::{Installation, Reply, SECRETS, World, developing},
};

#[path = "accounts/client.rs"]
mod client;
mod common;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and the rest of a picture";

/// Files of a form: names, types and contents.
type Sent<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(files: &[Sent<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, mime, content) in files {
        let name = name.replace('"', "%22");
        body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n").bytes());
        body.extend(mime.map(|mime| format!("Content-Type: {mime}\r\n")).unwrap_or_default().bytes());
        body.extend(b"\r\n");
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--B--\r\n");
    body
}

async fn send(world: &World, client: &Client, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    let mut request = Request::post("/api/files").header(header::CONTENT_TYPE, "multipart/form-data; boundary=B");
    if let Some(bearer) = &client.bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.ask(request.body(Body::from(body)).unwrap()).await
}

/// Uploads one file.
async fn upload(world: &World, client: &Client, file: Sent<'_>) -> Json {
    let reply = send(world, client, &[], form(&[file])).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let json: Json = serde_json::from_str(&reply.body).unwrap();
    json["files"][0].clone()
}

fn installation(clock: &Arc<VirtualClock>) -> Arc<Installation> {
    Installation::new(clock.clone(), SECRETS)
}

fn developer() -> Client {
    Client::developer()
}

async fn get(world: &World, client: &Client, path: &str) -> Reply {
    client.send(world, &format!("GET {path}"), Json::Null).await
}

fn text_of<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
}

const READ: &str = r#"
name: read
inputs: { data: file, more: { type: "file[]", optional: true } }
nodes:
  pass: { type: http-request, method: POST, url: "https://a.test/", body_file: "{{ inputs.data }}" }
outputs: { said: "{{ pass.body }}", data: "{{ inputs.data }}" }
"#;

#[tokio::test]
async fn an_upload_is_what_its_content_says_and_is_given_back_whole_and_in_parts() {
    let clock = Arc::new(VirtualClock::default());
    let world = installation(&clock).server().await;
    let sent: &[Sent<'_>] = &[
        ("../../etc/notes.txt", Some("text/plain"), "Grüße, 0123456789".as_bytes()),
        ("picture.txt", Some("text/plain"), PNG),
        ("page.png", Some("image/png"), b"<html><script>alert(1)</script>"),
    ];
    let reply = send(&world, &developer(), &[], form(sent)).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let json: Json = serde_json::from_str(&reply.body).unwrap();
    let shown = |at: usize| (json["files"][at]["file"]["name"].as_str(), json["files"][at]["file"]["mime"].as_str());
    assert_eq!(shown(0), (Some("notes.txt"), Some("text/plain")));
    assert_eq!(shown(1), (Some("picture.txt"), Some("image/png")));
    assert_eq!(shown(2), (Some("page.png"), Some("text/html")));
    assert_eq!(json["files"][0]["note"], Json::Null);
    assert_eq!(json["files"][2]["note"], "it was sent as `image/png`, and is `text/html`");

    let id = |at: usize| json["files"][at]["file"]["id"].as_str().unwrap().to_owned();
    let whole = get(&world, &developer(), &format!("/api/files/{}/content", id(0))).await;
    assert_eq!((whole.status.as_u16(), &*whole.body), (200, "Grüße, 0123456789"));
    assert_eq!(text_of(&whole, "content-type"), "text/plain; charset=utf-8");
    assert!(text_of(&whole, "content-disposition").starts_with("inline; filename=\"notes.txt\""));
    let page = get(&world, &developer(), &format!("/api/files/{}/content", id(2))).await;
    assert!(text_of(&page, "content-disposition").starts_with("attachment;"));
    assert!(text_of(&page, "content-security-policy").contains("sandbox"));
    assert_eq!(text_of(&page, "x-content-type-options"), "nosniff");

    let range = |range: &'static str| Client { headers: vec![("range", range.to_owned())], ..developer() };
    let part = get(&world, &range("bytes=9-12"), &format!("/api/files/{}/content", id(0))).await;
    assert_eq!((part.status.as_u16(), &*part.body), (206, "0123"));
    assert_eq!(text_of(&part, "content-range"), "bytes 9-12/19");
    let nowhere = get(&world, &range("bytes=99-"), &format!("/api/files/{}/content", id(0))).await;
    assert_eq!((nowhere.status.as_u16(), text_of(&nowhere, "content-range")), (416, "bytes */19"));

    let page = get(&world, &developer(), "/api/files?limit=2").await;
    let page: Json = serde_json::from_str(&page.body).unwrap();
    let rest = get(&world, &developer(), &format!("/api/files?after={}", page["next"].as_str().unwrap())).await;
    let rest: Json = serde_json::from_str(&rest.body).unwrap();
    assert_eq!((page["files"].as_array().unwrap().len(), rest["files"].as_array().unwrap().len()), (2, 1));
    assert_eq!(rest["next"], Json::Null);

    developer().expect(&world, &format!("DELETE /api/files/{}", id(0)), Json::Null, 204).await;
    for path in ["", "/content"] {
        let gone = get(&world, &developer(), &format!("/api/files/{}{path}", id(0))).await;
        assert_eq!((gone.status.as_u16(), &*code(&gone)), (404, "LA4331"));
    }
}

#[tokio::test]
async fn what_is_no_upload_or_too_much_of_one_is_refused_and_nothing_is_kept() {
    let clock = Arc::new(VirtualClock::default());
    let uploads = Uploads { size: Size(6 << 20), count: 2, refuse: vec!["image/*".to_owned()], room: None };
    let world = installation(&clock).server_with(Settings { uploads, ..developing() }, Vec::new()).await;
    let large = vec![b'x'; (6 << 20) + 1];
    let name = "n".repeat(300);
    let cut = form(&[("a.txt", None, b"half")]);
    for (what, body, expected) in [
        ("too large", form(&[("a.txt", None, &large)]), (413, "LA4332")),
        ("too many", form(&[("a", None, b"1"), ("b", None, b"2"), ("c", None, b"3")]), (413, "LA4332")),
        ("not wanted", form(&[("a.txt", None, PNG)]), (415, "LA4334")),
        ("a long name", form(&[(&name, None, b"1")]), (400, "LA4333")),
        (
            "no file",
            b"--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--B--\r\n".to_vec(),
            (400, "LA4333"),
        ),
        ("nothing", b"--B--\r\n".to_vec(), (400, "LA4333")),
        ("no form", b"hello".to_vec(), (400, "LA4333")),
        ("half a form", cut[..cut.len() - 10].to_vec(), (400, "LA4333")),
    ] {
        let reply = send(&world, &developer(), &[], body).await;
        assert_eq!((reply.status.as_u16(), &*code(&reply)), expected, "{what}: {}", reply.body);
    }
    let json = developer().send(&world, "POST /api/files", json!({ "file": "x" })).await;
    assert_eq!(code(&json), "LA4333");
    let listed: Json = serde_json::from_str(&get(&world, &developer(), "/api/files").await.body).unwrap();
    assert_eq!(listed["files"], json!([]));
    // More than the largest ordinary body, and no more than a file may have.
    let most = upload(&world, &developer(), ("a.txt", None, &large[1..])).await;
    assert_eq!(most["file"]["size"], 6 << 20);
    for hostile in ["/etc/passwd", "..%2f..%2fetc%2fpasswd", "file_0", "%00", &"f".repeat(5_000)] {
        let reply = get(&world, &developer(), &format!("/api/files/{hostile}")).await;
        assert!([404, 400, 414].contains(&reply.status.as_u16()), "{hostile}: {}", reply.status);
    }
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_no_file() {
    let installation = installation(&Arc::new(VirtualClock::default()));
    let reserve = Reserve { bytes: u64::MAX, percent: 0 };
    let uploads = Uploads { room: Some((installation.folder().to_owned(), reserve)), ..Uploads::default() };
    let world = installation.server_with(Settings { uploads, ..developing() }, Vec::new()).await;
    let reply = send(&world, &developer(), &[], form(&[("a.txt", None, b"1")])).await;
    assert_eq!((reply.status.as_u16(), &*code(&reply)), (507, "LA5002"), "{}", reply.body);
}

#[tokio::test]
async fn the_same_request_again_gives_the_same_upload() {
    let clock = Arc::new(VirtualClock::default());
    let world = installation(&clock).server().await;
    let key = [("idempotency-key", "k1")];
    let first = send(&world, &developer(), &key, form(&[("a.txt", None, b"one")])).await;
    let again = send(&world, &developer(), &key, form(&[("a.txt", None, b"one")])).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16(), &first.body), (201, 200, &again.body));
    let other = send(&world, &developer(), &key, form(&[("a.txt", None, b"two")])).await;
    assert_eq!((other.status.as_u16(), &*code(&other)), (422, "LA4333"));
    let listed: Json = serde_json::from_str(&get(&world, &developer(), "/api/files").await.body).unwrap();
    assert_eq!(listed["files"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_who_uploaded_a_file_gives_it_to_a_run_which_keeps_it() {
    let clock = Arc::new(VirtualClock::default());
    let installation = Installation::answering(clock.clone(), vec![value!({ "body": "thanks" }); 3]);
    let world = installation.server().await;
    developer().expect(&world, "POST /api/workflows", json!({ "source": READ }), 201).await;
    let scope = json!({ "name": "k", "scope": { "workflow": "read" } });
    let (_, key) = developer().key(&world, scope.clone()).await;
    let (_, other) = developer().key(&world, scope).await;
    let file = upload(&world, &key, ("a.txt", None, b"what it says")).await["file"].clone();
    let id = file["id"].as_str().unwrap();

    let start = |data: Json| json!({ "workflow": "read", "inputs": { "data": data } });
    for stranger in [&other, &developer()] {
        let reply = stranger.send(&world, "POST /api/runs", start(file.clone())).await;
        assert_eq!((reply.status.as_u16(), &*code(&reply)), (404, "LA4331"), "{}", reply.body);
        assert!(reply.body.contains("\"pointer\":\"/inputs/data\""), "{}", reply.body);
        assert_eq!(get(&world, stranger, &format!("/api/files/{id}")).await.status, 404);
        let reply = stranger.send(&world, &format!("DELETE /api/files/{id}"), Json::Null).await;
        assert_eq!(reply.status, 404);
    }
    // Nothing but the id is believed, and nothing else is needed.
    let lie = json!({ "id": id, "name": "../../etc/passwd", "mime": "text/html", "size": 1, "sha256": "0" });
    for data in [json!({ "id": id }), lie] {
        let done = key.expect(&world, "POST /api/runs", start(data), 200).await;
        assert_eq!((&done["outputs"]["said"], &done["outputs"]["data"]), (&json!("thanks"), &file));
        let sent = installation.called().pop().unwrap().body;
        assert!(matches!(&sent, HttpBody::Bytes(sent) if &**sent == b"what it says"), "{sent:?}");
    }
    let wrong = key.send(&world, "POST /api/runs", start(json!({ "id": "file_1", "name": "x" }))).await;
    assert!(
        wrong.body.contains("failed") || wrong.status.is_client_error(),
        "what only looks like a file opens nothing"
    );

    let done = key.expect(&world, "POST /api/runs", start(json!({ "id": id })), 200).await;
    let run = done["id"].as_str().unwrap();
    let of_run = format!("/api/runs/{run}/files/{id}");
    clock.advance(Duration::from_hours(24) + Duration::from_millis(1));
    assert_eq!(get(&world, &key, &format!("/api/files/{id}")).await.status, 404, "an upload waits for a day");
    assert_eq!(code(&key.send(&world, "POST /api/runs", start(json!({ "id": id }))).await), "LA4331");
    assert_eq!(get(&world, &other, &format!("{of_run}/content")).await.body, "what it says");
    let shown: Json = serde_json::from_str(&get(&world, &developer(), &of_run).await.body).unwrap();
    assert_eq!(shown, file);
    let links = key.expect(&world, &format!("POST /api/runs/{run}/links"), json!({}), 201).await;
    assert_eq!((links["links"].as_array().unwrap().len(), &links["links"][0]["file"]), (1, &file));
    let link = links["links"][0]["url"].as_str().unwrap();
    assert_eq!(get(&world, &Client::nobody(), link).await.body, "what it says");
    let (_, elsewhere) = {
        let source = READ.replacen("name: read", "name: elsewhere", 1);
        developer().expect(&world, "POST /api/workflows", json!({ "source": source }), 201).await;
        developer().key(&world, json!({ "name": "e", "scope": { "workflow": "elsewhere" } })).await
    };
    assert_eq!(get(&world, &elsewhere, &format!("{of_run}/content")).await.status, 404);
}

#[tokio::test]
async fn a_link_needs_nobody_until_it_expires() {
    let clock = Arc::new(VirtualClock::default());
    let world = installation(&clock).server().await;
    let name = "\u{202e}تقرير \"1\".svg";
    let file = upload(&world, &developer(), (name, None, b"<svg onload='alert(1)'/>")).await;
    let id = file["file"]["id"].as_str().unwrap();
    let link = |time: &str| (format!("POST /api/files/{id}/link"), json!({ "expires_in": time }));
    for (time, status) in [("8d", 400), ("0s", 400), ("soon", 422)] {
        let (request, body) = link(time);
        assert_eq!(developer().send(&world, &request, body).await.status, status, "{time}");
    }
    let (request, body) = link("1h");
    let made = developer().expect(&world, &request, body, 201).await;
    let url = made["url"].as_str().unwrap();
    let found = get(&world, &Client::nobody(), url).await;
    assert_eq!((found.status.as_u16(), &*found.body), (200, "<svg onload='alert(1)'/>"));
    assert_eq!(text_of(&found, "content-type"), "image/svg+xml");
    let disposition = text_of(&found, "content-disposition");
    assert!(
        disposition.starts_with("attachment; filename=\"_____ _221_22.svg\"; filename*=UTF-8''%D8%AA"),
        "{disposition}"
    );
    assert!(text_of(&found, "content-security-policy").contains("sandbox"));

    let other = upload(&world, &developer(), ("b.txt", None, b"b")).await;
    let other = other["file"]["id"].as_str().unwrap();
    for changed in [
        url.replace(id, other),
        url.replacen("expires=", "expires=9", 1),
        url.replacen("signature=", "signature=A", 1),
        url.replacen("of=", "run=", 1),
        url.split("&signature").next().unwrap().to_owned(),
    ] {
        let reply = get(&world, &Client::nobody(), &changed).await;
        assert!([400, 403].contains(&reply.status.as_u16()), "{changed}: {}", reply.body);
    }
    clock.advance(Duration::from_hours(1));
    let late = get(&world, &Client::nobody(), url).await;
    assert_eq!((late.status.as_u16(), &*code(&late)), (403, "LA4335"));
}
