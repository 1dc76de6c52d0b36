//! Answers of `http-request` that are too large, too slow or packed to burst.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::{Compression, write::GzEncoder};
use liteagent_engine::{
    capability::Capabilities,
    codes,
    error::{ErrorClass, NodeError},
    store::MemoryStore,
    testing::NodeTest,
};
use liteagent_nodes::{
    egress::{Egress, EgressPolicy},
    registry,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn ask(address: SocketAddr, fields: &str) -> Result<(), NodeError> {
    let caps = Capabilities {
        http: Some(Arc::new(Egress::new(EgressPolicy::parse([address.to_string()]).unwrap()))),
        files: Some(Arc::new(MemoryStore::default())),
        ..Capabilities::default()
    };
    let yaml = format!("type: http-request\nurl: http://{address}/\n{fields}");
    NodeTest::new(&registry(), &yaml).caps(caps).build().unwrap().run().await.map(drop)
}

/// Sends a head, and then the same piece until the other side hangs up; counts the bytes.
async fn endless_server(head: &'static str, piece: Vec<u8>) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&piece).await.is_ok() {
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    (address, sent)
}

fn assert_too_large(result: Result<(), NodeError>) {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.class), (codes::HTTP_TOO_LARGE, ErrorClass::LimitExceeded), "{error}");
}

#[tokio::test]
async fn an_answer_of_5_gigabytes_ends_before_it_is_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5368709120\r\n\r\n";
    let (address, sent) = endless_server(head, vec![b'x'; 64 << 10]).await;
    assert_too_large(ask(address, "").await);
    assert!(sent.load(Ordering::Relaxed) < 64 << 20, "{sent:?}");
}

#[tokio::test]
async fn an_answer_without_a_length_ends_at_the_limit() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n\r\n";
    let (address, sent) = endless_server(head, vec![0; 64 << 10]).await;
    assert_too_large(ask(address, "max_size: 1MiB").await);
    assert!(sent.load(Ordering::Relaxed) < 64 << 20, "{sent:?}");
}

#[tokio::test]
async fn the_limit_holds_for_what_was_unpacked() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 100 << 10, "{}", bomb.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
    let (address, _) = endless_server(head, bomb).await;
    assert_too_large(ask(address, "").await);
}

#[tokio::test]
async fn a_failure_with_an_endless_body_is_told_at_once() {
    let head = "HTTP/1.1 500 No\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
    let (address, _) = endless_server(head, vec![b'x'; 1024]).await;
    let error = ask(address, "").await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::HTTP_DOWN, ErrorClass::Unavailable));
    assert!(error.message.len() < 400, "{}", error.message);
}
