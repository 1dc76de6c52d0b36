//! An HTTP server that counts effects: who called, under which idempotency key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One call.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The path, `/RUN/NAME`.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub key: String,
}

/// A server on a free port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct CountingServer {
    /// `127.0.0.1:PORT`.
    pub address: String,
    effects: Arc<Mutex<Vec<Effect>>>,
}

impl CountingServer {
    /// Starts to listen; every answer takes `work`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(work: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address").to_string();
        let effects: Arc<Mutex<Vec<Effect>>> = Arc::default();
        let server = Self { address, effects: effects.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, effects.clone(), work));
            }
        });
        server
    }

    /// Every call so far, in order.
    pub fn effects(&self) -> Vec<Effect> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls by path: how often, and under which keys.
    pub fn by_path(&self) -> HashMap<String, Vec<String>> {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for effect in self.effects() {
            all.entry(effect.path).or_default().push(effect.key);
        }
        all
    }
}

async fn serve(mut stream: TcpStream, effects: Arc<Mutex<Vec<Effect>>>, work: Duration) {
    let mut buffer = Vec::new();
    loop {
        let Some(head_end) = find(&buffer) else {
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => buffer.extend_from_slice(&piece[..read]),
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let header = |name: &str| {
            head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let length: usize = header("content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        while buffer.len() < head_end + 4 + length {
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => buffer.extend_from_slice(&piece[..read]),
            }
        }
        let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let key = header("idempotency-key").map_or_else(String::new, |(_, value)| value.to_owned());
        buffer.drain(..head_end + 4 + length);
        effects.lock().unwrap_or_else(PoisonError::into_inner).push(Effect { path, key });
        tokio::time::sleep(work).await;
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn find(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n")
}
