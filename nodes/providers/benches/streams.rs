//! What stands between a provider and the caller: time to the first event, and a thousand answers at once.
//!
//! `cargo bench -p liteagent-providers`. A scripted server runs as a process of its own. It writes the time into its first
//! event, right before it sends it, so the figure holds the way through the kernel as well; a bare connection that looks
//! for the same event takes turns with the router and shows what that costs alone.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use liteagent_engine::{
    capability::{
        Http, Secrets,
        model::{ChatEvent, ChatRequest, Message, Models as _, Part},
    },
    time::SystemClock,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_providers::{ProviderSettings, Router, resolve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Set in the process that serves.
const SERVES: &str = "LITEAGENT_BENCH_SERVES";

const ROUNDS: usize = 500;
const STREAMS: usize = 1_000;
/// Events of each of many answers.
const EVENTS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    if std::env::var_os(SERVES).is_some() {
        runtime.block_on(serve());
        return;
    }
    let (server, address) = start_server();
    runtime.block_on(async {
        let router = router(address).await;
        first_event(&router, address).await;
        many(&router).await;
    });
    drop(server);
}

/// Ends with the benchmark.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_server() -> (Server, SocketAddr) {
    let own = std::env::current_exe().expect("the benchmark has a file");
    let child = Command::new(own).env(SERVES, "1").stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the server starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("its output is piped");
    BufReader::new(out).read_line(&mut line).expect("it says where it listens");
    (Server(child), line.trim().parse().expect("it says an address"))
}

async fn router(address: SocketAddr) -> Arc<Router> {
    let settings = ProviderSettings { base_url: Some(format!("http://{address}/v1")), ..ProviderSettings::default() };
    let settings = BTreeMap::from([("x".to_owned(), settings)]);
    let deployment =
        resolve(&settings, &BTreeMap::new(), &Arc::<Secrets>::default(), &|_| None).expect("the settings are right");
    let policy = EgressPolicy::parse(deployment.endpoints()).expect("an address is an entry");
    let http: Arc<dyn Http> = Arc::new(Egress::new(policy));
    Arc::new(Router::open(deployment, http, Arc::new(SystemClock), []).await)
}

fn question(model: &str) -> ChatRequest {
    let message = Message::User { parts: vec![Part::Text { text: "Hello".to_owned() }] };
    ChatRequest { models: vec![format!("x/{model}")], messages: vec![message], ..ChatRequest::default() }
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_nanos()
}

/// Microseconds since the time that a text names.
fn since(text: &str) -> f64 {
    (nanos() - text.parse::<u128>().expect("the first event is a time")) as f64 / 1_000.0
}

async fn first_event(router: &Router, address: SocketAddr) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut connection = TcpStream::connect(address).await.expect("the server listens");
    connection.set_nodelay(true).expect("a connection can be set");
    for _ in 0..ROUNDS {
        let mut stream = router.chat(question("first")).await.expect("the server answers");
        let Some(Ok(ChatEvent::Text(text))) = stream.next().await else { panic!("the first event is text") };
        ours.push(since(&text));
        while stream.next().await.is_some() {}
        bare.push(bare_first(&mut connection).await);
    }
    let [ours, bare] = [ours, bare].map(|mut all| {
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[all.len() * 99 / 100])
    });
    println!("first byte sent to first event, p50 / p99");
    println!("  through the router      {:>8.0} / {:.0} µs", ours.0, ours.1);
    println!("  a bare connection       {:>8.0} / {:.0} µs", bare.0, bare.1);
    println!("  added                   {:>8.0} / {:.0} µs", ours.0 - bare.0, ours.1 - bare.1);
}

async fn bare_first(connection: &mut TcpStream) -> f64 {
    let body = r#"{"model":"first"}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all((head + body).as_bytes()).await.expect("the server reads");
    let (mut seen, mut took) = (Vec::new(), None);
    while !seen.ends_with(b"0\r\n\r\n") {
        let mut piece = [0; 4096];
        let read = connection.read(&mut piece).await.expect("the server writes");
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen);
        if took.is_none()
            && let Some((_, rest)) = text.split_once("\"content\":\"")
            && let Some((time, _)) = rest.split_once('"')
        {
            took = Some(since(time));
        }
    }
    took.expect("the time was seen")
}

async fn many(router: &Arc<Router>) {
    // What is built once is no part of a stream.
    let before = resident();
    let open = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let (router, open) = (router.clone(), open.clone());
        all.spawn(async move {
            let mut stream = router.chat(question("many")).await.expect("the server answers");
            let (mut events, mut last, mut longest) = (0, None::<Instant>, Duration::ZERO);
            while let Some(event) = stream.next().await {
                let ChatEvent::Text(_) = event.expect("no answer breaks off") else { continue };
                events += 1;
                if events == 1 {
                    open.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let now = Instant::now();
                longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
                last = Some(now);
            }
            (events, longest)
        });
    }
    // All of them have begun before any goes on.
    while open.load(Ordering::Relaxed) < STREAMS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let opened = began.elapsed();
    let each = (resident().saturating_sub(before)) as f64 / STREAMS as f64;
    let began = Instant::now();
    let done = all.join_all().await;
    let took = began.elapsed();
    let whole = done.iter().filter(|(events, _)| *events == EVENTS + 1).count();
    let longest = done.iter().map(|(_, longest)| *longest).max().unwrap_or_default();
    println!("{STREAMS} answers at once, {EVENTS} events each, one every 20 ms");
    println!("  all open after          {:>8.0} ms", opened.as_secs_f64() * 1e3);
    println!("  memory for each         {:>8.1} kB", each / 1e3);
    println!("  whole answers           {whole:>8}");
    println!("  events                  {:>8.0} /s", (STREAMS * EVENTS) as f64 / took.as_secs_f64());
    println!("  longest gap in any      {:>8.0} ms", longest.as_secs_f64() * 1e3);
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Serves until it is killed.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("the listener has an address"));
    let (open, all_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    while let Ok((stream, _)) = listener.accept().await {
        let (open, all_open) = (open.clone(), all_open.clone());
        tokio::spawn(async move {
            // Whoever asked may be gone.
            let _ = answer(stream, &open, &all_open).await;
        });
    }
}

async fn answer(mut stream: TcpStream, open: &AtomicUsize, all_open: &Notify) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&piece[..read]);
        // Questions are short and end with their only closing brace at the end.
        if !seen.ends_with(b"}") {
            continue;
        }
        let is_many = seen.windows(6).any(|window| window == b"\"many\"");
        seen.clear();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        if is_many {
            let waits = all_open.notified();
            event(&mut stream, "open").await?;
            if open.fetch_add(1, Ordering::SeqCst) + 1 == STREAMS {
                // The last one has just begun; let its first event arrive, and the figures be taken.
                tokio::time::sleep(Duration::from_millis(500)).await;
                all_open.notify_waiters();
            } else {
                waits.await;
            }
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for _ in 0..EVENTS {
                tick.tick().await;
                event(&mut stream, "a token and another one").await?;
            }
        } else {
            event(&mut stream, &nanos().to_string()).await?;
        }
        chunk(
            &mut stream,
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        )
        .await?;
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

async fn event(stream: &mut TcpStream, content: &str) -> std::io::Result<()> {
    chunk(stream, &format!("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n")).await
}

async fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}
