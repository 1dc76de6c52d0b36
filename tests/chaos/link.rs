//! The way from one process of ours to a service: it can be cut, slow or dead.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
};

/// How a way is now.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// Counts how often every connection was cut.
    cuts: u64,
    /// How long each piece takes longer.
    delay: Duration,
    /// Whether nothing passes.
    is_dead: bool,
}

/// A proxy of its own for one process and one service.
pub(crate) struct Link(watch::Sender<Way>);

impl Link {
    /// From a port of this machine to another.
    pub(crate) async fn over_tcp(to: u16) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = watch::Sender::new(Way::default());
        let of_all = way.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", to));
                tokio::spawn(pass(client, server, of_all.subscribe()));
            }
        });
        (Self(way), port)
    }

    /// From a socket to another one.
    pub(crate) fn over_sockets(from: PathBuf, to: PathBuf) -> Self {
        let listener = UnixListener::bind(from).unwrap();
        let way = watch::Sender::new(Way::default());
        let of_all = way.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(to.clone());
                tokio::spawn(pass(client, server, of_all.subscribe()));
            }
        });
        Self(way)
    }

    /// Cuts every connection; new ones can be made.
    pub(crate) fn cut(&self) {
        self.0.send_modify(|way| way.cuts += 1);
    }

    /// Slows everything down.
    pub(crate) fn slow(&self, delay: Duration) {
        self.0.send_modify(|way| way.delay = delay);
    }

    /// Lets nothing pass, and nobody knows.
    pub(crate) fn die(&self) {
        self.0.send_modify(|way| way.is_dead = true);
    }

    /// As it was at first.
    pub(crate) fn mend(&self) {
        self.0.send_modify(|way| *way = Way { cuts: way.cuts, ..Way::default() });
    }
}

async fn pass<C, S>(client: C, server: impl Future<Output = io::Result<S>>, way: watch::Receiver<Way>)
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let cuts = way.borrow().cuts;
    let Ok(server) = server.await else { return };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let mut is_cut = way.clone();
    // Whichever way ends first ends both.
    tokio::select! {
        () = one_way(from_client, to_server, way.clone()) => {}
        () = one_way(from_server, to_client, way) => {}
        _ = is_cut.wait_for(|way| way.cuts != cuts) => {}
    }
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut way: watch::Receiver<Way>) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let Ok(now) = way.wait_for(|way| !way.is_dead).await.map(|way| *way) else { return };
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
