//! Files that are uploaded into a knowledge base.

use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_documents::testing::archive;
use serde_json::{Value as Json, json};

use crate::common::{KEY, Reply, World};

const BOUNDARY: &str = "a-boundary";

/// A field of a form: its name, the name of its file, its content.
type Field<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(fields: &[Field<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in fields {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn send(world: &World, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Reply {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {KEY}")).header(header::CONTENT_TYPE, kind);
    world.ask(request.body(body.into()).unwrap()).await
}

async fn upload(world: &World, body: Vec<u8>) -> (u16, Json) {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let reply = send(world, "POST", "/api/knowledge/handbook/documents", &kind, body).await;
    (reply.status.as_u16(), serde_json::from_str(&reply.body).unwrap())
}

/// Where the documents stand once their runs have ended.
async fn standing(world: &World) -> Vec<(String, String)> {
    let documents = "/api/knowledge/handbook/documents";
    let list = async || {
        let reply = send(world, "GET", documents, "application/json", Body::empty()).await;
        serde_json::from_str::<Json>(&reply.body).unwrap()["documents"].as_array().unwrap().clone()
    };
    let text = |document: &Json, name: &str| document[name].as_str().unwrap().to_owned();
    for document in list().await {
        let id = text(&document, "id").replace(' ', "%20");
        send(world, "GET", &format!("{documents}/{id}/events"), "application/json", Body::empty()).await;
    }
    list().await.iter().map(|document| (text(document, "id"), text(document, "status"))).collect()
}

async fn world() -> World {
    let world = World::new(Vec::new()).await;
    let made = send(&world, "POST", "/api/knowledge", "application/json", json!({ "name": "handbook" }).to_string());
    assert_eq!(made.await.status, 201);
    world
}

#[tokio::test]
async fn every_file_is_indexed_by_itself_whatever_the_others_are() {
    let world = world().await;
    let broken = archive(&[("word/document.xml", b"<w:document"), ("[Content_Types].xml", b"<Types/>")]);
    let (status, reply) = upload(
        &world,
        form(&[
            ("metadata", None, br#"{"year": 2026}"#),
            ("file", Some("leave.md"), b"# Leave\n\nThirty days."),
            ("file", Some("../../etc/passwd"), b"root:x:0:0"),
            ("file", Some("letter.docx"), &broken),
            ("file", Some("a program.pdf"), b"\x7fELF\x02\x01\x01\x00\x00\x00"),
            ("file", Some("empty.txt"), b""),
            ("file", Some("travel.txt"), b"Trains go in the second class."),
        ]),
    )
    .await;
    assert_eq!(status, 202, "{reply}");
    let runs: Vec<_> = reply["documents"].as_array().unwrap().iter().map(|taken| &taken["run"]).collect();
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run.is_string()));
    let status = |status: &str, id: &str| (id.to_owned(), status.to_owned());
    assert_eq!(
        standing(&world).await,
        [
            status("failed", "a program.pdf"),
            status("failed", "empty.txt"),
            status("ready", "leave.md"),
            status("failed", "letter.docx"),
            status("ready", "passwd"),
            status("ready", "travel.txt"),
        ]
    );
    let found = json!({ "query": "days", "mode": "keyword", "filter": { "year": 2026 } }).to_string();
    let found = send(&world, "POST", "/api/knowledge/handbook/search", "application/json", found).await;
    assert!(found.body.contains("Thirty days."), "{}", found.body);

    // The file is kept for as long as its run: it can be indexed again.
    let path = "/api/knowledge/handbook/documents/leave.md/reindex";
    assert_eq!(send(&world, "POST", path, "application/json", Body::empty()).await.status, 202);
    assert_eq!(standing(&world).await[2], status("ready", "leave.md"));
}

#[tokio::test]
async fn what_is_deleted_while_it_is_indexed_leaves_nothing() {
    let world = world().await;
    let names: Vec<String> = (0..12).map(|number| format!("{number}.md")).collect();
    let fields: Vec<Field<'_>> = names.iter().map(|name| ("file", Some(name.as_str()), &b"Something."[..])).collect();
    assert_eq!(upload(&world, form(&fields)).await.0, 202);
    // The same again, with another content, takes the place of what is not done yet.
    let fields: Vec<Field<'_>> =
        names.iter().map(|name| ("file", Some(name.as_str()), &b"Something else."[..])).collect();
    assert_eq!(upload(&world, form(&fields)).await.0, 202);
    assert!(standing(&world).await.iter().all(|(_, status)| status == "ready"));
    let fields: Vec<Field<'_>> =
        names.iter().map(|name| ("file", Some(name.as_str()), &b"A third thing."[..])).collect();
    assert_eq!(upload(&world, form(&fields)).await.0, 202);
    let deleted = send(&world, "DELETE", "/api/knowledge/handbook", "application/json", Body::empty()).await;
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let runs = send(&world, "GET", "/api/runs", "application/json", Body::empty()).await;
    assert_eq!(serde_json::from_str::<Json>(&runs.body).unwrap()["runs"], json!([]));
    let bases = send(&world, "GET", "/api/knowledge", "application/json", Body::empty()).await;
    assert_eq!(serde_json::from_str::<Json>(&bases.body).unwrap()["knowledge"], json!([]), "nothing made it anew");
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused_and_what_came_before_stays() {
    let world = world().await;
    let code = |(status, reply): (u16, Json)| (status, reply["code"].as_str().unwrap_or_default().to_owned());
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code(upload(&world, form(&[])).await), refused(400, "LA4421"));
    assert_eq!(code(upload(&world, Vec::new()).await), refused(400, "LA4421"));
    for fields in [
        [("files", Some("a.md"), &b"x"[..])],
        [("file", None, b"x")],
        [("file", Some(".."), b"x")],
        [("metadata", None, b"no json")],
    ] {
        assert_eq!(code(upload(&world, form(&fields)).await), refused(400, "LA4421"), "{fields:?}");
    }
    assert_eq!(code(upload(&world, form(&[("metadata", None, b"[]")])).await), refused(400, "LA4002"));

    let mut broken = form(&[("file", Some("first.md"), b"First."), ("file", Some("second.md"), b"Second.")]);
    broken.truncate(broken.len() - 30);
    assert_eq!(code(upload(&world, broken).await), refused(400, "LA4421"));
    assert_eq!(standing(&world).await, [("first.md".to_owned(), "ready".to_owned())]);

    let no_boundary = send(&world, "POST", "/api/knowledge/handbook/documents", "multipart/form-data", "x").await;
    assert_eq!(no_boundary.status, 400, "{}", no_boundary.body);
    let many: Vec<Field<'_>> = (0..101).map(|_| ("file", Some("same.md"), &b"Same."[..])).collect();
    assert_eq!(code(upload(&world, form(&many)).await), refused(413, "LA4422"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let world = World::with_upload_limit(1 << 10).await;
    let made = send(&world, "POST", "/api/knowledge", "application/json", json!({ "name": "handbook" }).to_string());
    assert_eq!(made.await.status, 201);
    let large = vec![b'x'; 2 << 10];
    let (status, reply) =
        upload(&world, form(&[("file", Some("small.md"), b"x"), ("file", Some("large.md"), &large)])).await;
    assert_eq!((status, reply["code"].as_str()), (413, Some("LA4422")), "{reply}");
    assert_eq!(standing(&world).await.len(), 1);
    // Not even a text may be larger than a body, whatever its length is said to be.
    let pieces = futures::stream::iter((0..9).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20])));
    let reply =
        send(&world, "POST", "/api/knowledge/handbook/documents", "application/json", Body::from_stream(pieces)).await;
    assert_eq!(reply.status, 413, "{}", reply.body);
}
