//! Requests to the servers, which may be gone at any moment.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// So long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The status and the body of an answer; `None` when it is not known what became of the request.
pub(crate) async fn ask(port: u16, head: &str, body: &Json) -> Option<(u16, Json)> {
    tokio::time::timeout(PATIENCE, asked(port, head, body)).await.ok()?
}

async fn asked(port: u16, head: &str, body: &Json) -> Option<(u16, Json)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let request = format!(
        "{head}\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}
