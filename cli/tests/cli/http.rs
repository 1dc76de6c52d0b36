//! Servers that never end, against the binary: a node stops at its limit, and has read little more than that.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::harness::Folder;

/// A server in this process, and how many bytes of answers it could send.
struct Endless {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Endless {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let counter = counter.clone();
                // It ends when the other side hangs up.
                thread::spawn(move || drop(answer(stream.unwrap(), &counter)));
            }
        });
        Self { address, sent }
    }
}

/// Answers one request after its path.
fn answer(mut stream: TcpStream, sent: &AtomicU64) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (kind, number) = path.trim_start_matches('/').split_once('/').unwrap_or((&path[1..], "0"));
    let next = number.parse::<u64>().unwrap_or_default() + 1;
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    let (head, piece) = match kind {
        "length" => (format!("{ok}content-length: 5368709120\r\n\r\n"), vec![0; 64 << 10]),
        "close" => (format!("{ok}connection: close\r\n\r\n"), vec![0; 64 << 10]),
        "chunked" => {
            let chunk = [b"10000\r\n".as_slice(), &vec![0; 64 << 10], b"\r\n"].concat();
            (format!("{ok}transfer-encoding: chunked\r\n\r\n"), chunk)
        }
        "headers" => (ok.to_owned(), b"x-more: and more\r\n".repeat(1000)),
        "one-header" => (format!("{ok}x-long: "), vec![b'x'; 64 << 10]),
        "redirect" => {
            let head = format!(
                "HTTP/1.1 302 Found\r\nlocation: /redirect/{next}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
            return stream.write_all(head.as_bytes());
        }
        "pages" | "large-pages" => {
            let filler = if kind == "pages" { 1 } else { 500 << 10 };
            let body = format!("{{\"next\": \"/{kind}/{next}\", \"items\": [\"{}\"]}}", "x".repeat(filler));
            sent.fetch_add(body.len() as u64, Ordering::Relaxed);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            return stream.write_all(head.as_bytes());
        }
        "trickle" => (format!("{ok}content-length: 1000000\r\n\r\n"), Vec::new()),
        _ => (String::new(), Vec::new()),
    };
    stream.write_all(head.as_bytes())?;
    loop {
        if piece.is_empty() {
            // The slow ones: a byte now and then, or nothing at all. The clock of a server is a real one.
            thread::sleep(std::time::Duration::from_millis(200));
            stream.write_all(if kind == "trickle" { b"x" } else { b"" })?;
        } else {
            stream.write_all(&piece)?;
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_server_without_end_is_left_at_the_limit() {
    const PAGES: &str =
        "paginate: { next: \"{{ page.json.next }}\", items: \"{{ page.json.items }}\", max_pages: 10000 }";
    let cases = [
        ("length", "", "LA2207"),
        ("close", "", "LA2207"),
        ("chunked", "", "LA2207"),
        ("chunked", "max_size: 1KiB", "LA2207"),
        ("headers", "", "LA2203"),
        ("one-header", "", "LA2203"),
        ("redirect", "", "LA2208"),
        ("pages", "paginate: { next: \"{{ page.json.next }}\", items: \"{{ page.json.items }}\" }", "LA2210"),
        ("large-pages", PAGES, "LA2207"),
        ("large-pages", &format!("max_size: 1MiB\n    {PAGES}"), "LA2207"),
        ("trickle", "timeout: 1s", "LA2003"),
        ("silent", "timeout: 1s", "LA2003"),
    ];
    for (kind, fields, code) in cases {
        let server = Endless::start();
        let address = server.address;
        let yaml = format!(
            "name: ask\nnodes:\n  ask:\n    type: http-request\n    url: http://{address}/{kind}\n    {fields}\noutputs: {{ status: \"{{{{ ask.status }}}}\" }}\n"
        );
        let config = format!("[http]\nallow = [\"{address}\"]\n");
        let folder = Folder::new().with("liteagent.toml", &config).with("ask.yaml", &yaml);
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -v 2097152; exec timeout 60 \"$1\" run ask",
            "sh",
            env!("CARGO_BIN_EXE_liteagent"),
        ]);
        let output = command.current_dir(folder.path(".")).env("LITEAGENT_MIN_FREE", "0B").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{kind} {fields}: {said}");
        assert!(said.contains(&format!("error[{code}]")) && said.contains("= help:"), "{kind} {fields}: {said}");
        assert!(said.len() < 5_000, "{kind}: {said}");
        let sent = server.sent.load(Ordering::Relaxed);
        assert!(sent < 128 << 20, "{kind} {fields}: {sent} bytes were sent");
    }
}
