//! What parent and child say to each other over their socket: frames, each after its length in four bytes. Messages are
//! JSON; the content of a file is a frame as it is.

use std::io::{self, Read};

use liteagent_engine::capability::documents::DocumentText;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{limits::Limits, trouble::Trouble};

/// What a parent says first, and once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) limits: Limits,
}

/// What a parent wants; a frame with the content of the file follows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) name: String,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromChild {
    /// It has given up everything, and reads.
    Ready(Locked),
    /// It cannot read, and ends.
    Failed(String),
    /// The text of a file.
    Read(Result<DocumentText, Trouble>),
    /// The reader of a format broke off, and the child ends: why.
    Panicked(String),
}

/// What a child cannot do any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Whether the kernel's Landlock keeps it from files and the network too: `full`, `partly`, or `no` where the kernel has
    /// none.
    pub landlock: String,
    /// What it tried, and was refused.
    pub refused: Vec<String>,
}

/// A frame of a message.
pub(crate) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = length(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length);
    Ok(frame)
}

/// What stands before a frame of so many bytes.
pub(crate) fn length(bytes: usize) -> io::Result<[u8; 4]> {
    let length =
        u32::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message is too large"))?;
    Ok(length.to_le_bytes())
}

/// The message in a frame.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(json)?)
}

/// Reads a frame; `None` when the other side has closed the connection.
pub(crate) fn receive(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length);
    let mut frame = Vec::new();
    stream.take(length.into()).read_to_end(&mut frame)?;
    whole(frame, length).map(Some)
}

/// Reads a frame of a child, of at most so many bytes. Memory is taken as bytes arrive: a length is not believed.
pub(crate) async fn receive_from(stream: &mut (impl AsyncRead + Unpin), most: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    let mut frame = Vec::new();
    stream.take(length.into()).read_to_end(&mut frame).await?;
    whole(frame, length)
}

fn whole(frame: Vec<u8>, length: u32) -> io::Result<Vec<u8>> {
    if frame.len() < length as usize { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}
