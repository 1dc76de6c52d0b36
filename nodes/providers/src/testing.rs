//! For tests: a server on loopback. A test sees each request, and writes each byte of the answer.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

/// Requests in the order in which they came.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
}

/// A request, and the connection to answer it on.
pub struct Call {
    /// `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body as JSON; `null` when it is none.
    pub body: Json,
    stream: TcpStream,
    /// Gives the connection back for the next request.
    give_back: oneshot::Sender<TcpStream>,
}

impl Server {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no port left.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, tell.clone()));
            }
        });
        Self { address, calls }
    }

    /// The next request.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn next(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// Whether no request came that was not looked at.
    pub fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

impl Call {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Writes bytes as they are. Whoever asked may be gone, which tests see elsewhere.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// The head of an answer that comes in chunks.
    pub async fn head(&mut self, status: u16, headers: &[(&str, &str)]) {
        let mut head = format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(head + "\r\n").await;
    }

    /// The head of a stream of events.
    pub async fn stream(&mut self) {
        self.head(200, &[("content-type", "text/event-stream; charset=utf-8")]).await;
    }

    /// A piece of the body.
    pub async fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.raw([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await;
    }

    /// An event of the stream.
    pub async fn event(&mut self, json: Json) {
        self.chunk(format!("data: {json}\n\n")).await;
    }

    /// The end of the body; the connection stays.
    pub async fn end(mut self) {
        self.raw("0\r\n\r\n").await;
        let _ = self.give_back.send(self.stream);
    }

    /// A whole answer.
    pub async fn answer(mut self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        self.head(status, headers).await;
        if !body.as_ref().is_empty() {
            self.chunk(body).await;
        }
        self.end().await;
    }

    /// A whole stream of events, ended with `[DONE]`.
    pub async fn events(mut self, events: impl IntoIterator<Item = Json>) {
        self.stream().await;
        for event in events {
            self.event(event).await;
        }
        self.chunk("data: [DONE]\n\n").await;
        self.end().await;
    }

    /// Waits until the other side has hung up.
    pub async fn hung_up(&mut self) {
        let mut rest = [0; 64];
        while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
}

async fn serve(mut stream: TcpStream, tell: mpsc::UnboundedSender<Call>) {
    while let Some((head, body)) = read(&mut stream).await {
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let (give_back, given_back) = oneshot::channel();
        let call = Call {
            method: first.next().unwrap_or_default(),
            path: first.next().unwrap_or_default(),
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            stream,
            give_back,
        };
        if tell.send(call).is_err() {
            return;
        }
        match given_back.await {
            Ok(back) => stream = back,
            Err(_) => return,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        more(stream, &mut body).await?;
    }
    Some((head, body))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 8192];
    let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&piece[..read]);
    Some(())
}

/// A piece of an answer as OpenAI sends it.
pub fn delta(delta: Json) -> Json {
    json!({ "id": "c", "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

/// Its end.
pub fn finish(reason: &str) -> Json {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

/// What it used.
pub fn usage(input: u64, output: u64) -> Json {
    json!({ "choices": [], "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output } })
}
