//! What parent and child say to each other over their socket: frames of JSON, each after its length in four bytes.

use std::io;

use liteagent_sandbox_protocol::{Fault, Load, Reply, Request};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The largest frame. Outputs may be 64 MiB, and what is printed sixfold as JSON.
const MOST: u32 = 512 << 20;

/// What a parent says. The first frame is not one of these: it is the configuration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToChild {
    /// Run this.
    Call { id: u64, request: Request },
    /// Nobody waits for the reply any more.
    Cancel { id: u64 },
    /// How much is there to do?
    Load { id: u64 },
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromChild {
    /// It has loaded everything, has given up everything else, and serves.
    Ready(Locked),
    /// It cannot serve.
    Failed(Fault),
    /// The reply to a call.
    Reply { id: u64, reply: Reply },
    /// How much there is to do.
    Load { id: u64, load: Load },
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
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= MOST);
    let Some(length) = length else { return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too large")) };
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Reads the JSON of a frame; `None` when the other side has closed the connection. Memory is taken as bytes arrive: a length
/// is not believed.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length);
    if length > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    let mut json = Vec::new();
    let read = stream.take(length.into()).read_to_end(&mut json).await?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(json))
}

/// The message in a frame.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(json)?)
}

#[cfg(test)]
mod tests {
    use liteagent_sandbox_protocol::Language;

    use super::*;

    #[tokio::test]
    async fn a_frame_reads_back_as_it_was_written() {
        let request = Request::new(Language::Python, "ä\0").with_inputs(&serde_json::json!({ "a": 1.5 })).unwrap();
        let mut frames = frame(&ToChild::Call { id: 7, request }).unwrap();
        frames.extend(frame(&ToChild::Cancel { id: 7 }).unwrap());
        let mut stream = frames.as_slice();
        let first = read(&mut stream).await.unwrap().unwrap();
        assert_eq!(
            String::from_utf8(first.clone()).unwrap(),
            r#"{"call":{"id":7,"request":{"language":"python","code":"ä\u0000","inputs":{"a":1.5},"mode":"main","limits":{}}}}"#
        );
        assert!(
            matches!(parse(&first), Ok(ToChild::Call { id: 7, request }) if request.inputs.get() == r#"{"a":1.5}"#)
        );
        let second = read(&mut stream).await.unwrap().unwrap();
        assert!(matches!(parse(&second), Ok(ToChild::Cancel { id: 7 })));
        assert!(read(&mut stream).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_length_that_lies_is_an_error() {
        let mut huge = [0xff; 8].as_slice();
        assert_eq!(read(&mut huge).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut short = [4, 0, 0, 0, b'{'].as_slice();
        assert_eq!(read(&mut short).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut cut = [4, 0].as_slice();
        assert_eq!(read(&mut cut).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
